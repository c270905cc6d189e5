import { noChange, type ElementPart } from "lit";
import { Directive, directive, PartType, type PartInfo } from "lit/directive.js";

type Styles = Readonly<Record<string, string>>;

/**
 * Sets style properties one by one through CSSOM. Lit's own `styleMap` writes the first values as a `style` attribute,
 * which the page's content security policy (no `unsafe-inline`) refuses.
 */
class StylesDirective extends Directive {
  #previous: Styles = {};

  constructor(info: PartInfo) {
    super(info);
    if (info.type !== PartType.ELEMENT) throw new Error("styles() belongs on an element, not in an attribute");
  }

  override render(_styles: Styles): typeof noChange {
    return noChange;
  }

  override update(part: ElementPart, [styles]: [Styles]): typeof noChange {
    const target = (part.element as HTMLElement).style;
    for (const [name, value] of Object.entries(styles))
      if (this.#previous[name] !== value) target.setProperty(name, value);
    for (const name of Object.keys(this.#previous)) if (!(name in styles)) target.removeProperty(name);
    this.#previous = styles;
    return noChange;
  }
}

export const styles = directive(StylesDirective);
