import { html, nothing, type TemplateResult } from "lit";
import { PortlightElement } from "./element.ts";
import { moved } from "./keys.ts";
import { icon } from "./parts.ts";

export interface MenuItem {
  readonly label: string;
  readonly run: () => void;
  /** For an item that is on or off; the menu stays open. */
  readonly checked?: boolean;
}

let menus = 0;

/** A button that opens a short menu (ARIA menu button pattern). The browser's popover closes it on Escape and outside clicks. */
export class Menu extends PortlightElement {
  static override properties = { label: {}, icon: {}, items: { attribute: false } };

  declare label: string;
  declare icon: string;
  declare items: readonly MenuItem[];
  readonly #id = `menu-${++menus}`;

  constructor() {
    super();
    this.label = "";
    this.icon = "ellipsis";
    this.items = [];
  }

  protected override render(): TemplateResult {
    return html`<button
        type="button"
        class="icon-button"
        title=${this.label}
        aria-label=${this.label}
        aria-haspopup="menu"
        @click=${() => this.#open()}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key === "ArrowDown") this.#open();
        }}
      >
        ${icon(this.icon)}
      </button>
      <div
        id=${this.#id}
        class="menu"
        role="menu"
        popover="auto"
        aria-label=${this.label}
        @keydown=${(event: KeyboardEvent) => this.#key(event)}
      >
        ${this.items.map(
          (item) =>
            html`<button
              type="button"
              class="menu-item"
              tabindex="-1"
              role=${item.checked === undefined ? "menuitem" : "menuitemcheckbox"}
              aria-checked=${item.checked ?? nothing}
              @click=${() => this.#run(item)}
            >
              ${icon(item.checked === true ? "check" : "blank")}<span>${item.label}</span>
            </button>`,
        )}
      </div>`;
  }

  #popover(): HTMLElement | null {
    return this.querySelector<HTMLElement>(`#${this.#id}`);
  }

  #open(): void {
    const popover = this.#popover();
    const button = this.querySelector("button");
    if (popover === null || button === null) return;
    popover.showPopover();
    placeBelow(popover, button);
    popover.querySelector<HTMLElement>(".menu-item")?.focus();
  }

  #run(item: MenuItem): void {
    if (item.checked === undefined) {
      this.#popover()?.hidePopover();
      this.querySelector("button")?.focus();
    }
    item.run();
  }

  #key(event: KeyboardEvent): void {
    const items = [...this.querySelectorAll<HTMLElement>(".menu-item")];
    const at = items.findIndex((item) => item === document.activeElement);
    const next = moved(event.key, at, { first: 0, end: items.length, page: items.length });
    if (next !== undefined) {
      event.preventDefault();
      items[next]?.focus();
    } else if (event.key === "Tab" || event.key === "Escape") {
      this.#popover()?.hidePopover();
      this.querySelector("button")?.focus();
    }
    event.stopPropagation();
  }
}

/** Puts an open popover under the element that opened it, or above where there is more room, within the window. */
export function placeBelow(popover: HTMLElement, opener: HTMLElement): void {
  const from = opener.getBoundingClientRect();
  const size = popover.getBoundingClientRect();
  const left = Math.max(4, Math.min(from.left, window.innerWidth - size.width - 4));
  const below = from.bottom + 2;
  const top = below + size.height <= window.innerHeight ? below : Math.max(4, from.top - size.height - 2);
  popover.style.setProperty("left", `${left}px`);
  popover.style.setProperty("top", `${top}px`);
}

customElements.define("pl-menu", Menu);
