import {
  commands,
  l10n,
  Uri,
  ViewColumn,
  window,
  workspace,
  type Disposable,
  type ExtensionContext,
  type Webview,
  type WebviewPanel,
  type WebviewView,
} from "vscode";
import type { HostState } from "../webview/protocol.ts";
import { DisposableList } from "./disposables.ts";
import { inspectorHtml, plainHtml } from "./html.ts";
import { hostHandlers } from "./inspector-host.ts";
import { InspectorSession, WatchCounter } from "./inspector-session.ts";
import type { Portlight } from "./portlight.ts";

const VIEW = "portlight.inspector";
const PANEL = "portlight.inspectorEditor";

/** One place where the page is shown. */
interface Surface {
  readonly webview: Webview;
  readonly placement: "panel" | "editor";
  readonly show: () => void;
  session: InspectorSession | undefined;
  /** Told to the page once it has loaded. */
  pendingFilter: string | undefined;
  ready: boolean;
}

/** The inspector, as a view of the panel and as an editor. */
export class Inspector implements Disposable {
  readonly #portlight: Portlight;
  /** The only folder that the page may load from. */
  readonly #root: Uri;
  readonly #media: Uri;
  readonly #list = new DisposableList();
  readonly #surfaces = new Set<Surface>();
  readonly #watches = new WatchCounter();
  #agentRan = false;
  #lastState = "";

  constructor(context: ExtensionContext, portlight: Portlight) {
    this.#portlight = portlight;
    this.#root = Uri.joinPath(context.extensionUri, "dist", "webview");
    this.#media = Uri.joinPath(context.extensionUri, "media");
    const { agent, shares } = portlight;
    this.#list.add(window.registerWebviewViewProvider(VIEW, { resolveWebviewView: (view) => this.#addView(view) }));
    this.#list.add(
      window.registerWebviewPanelSerializer(PANEL, {
        deserializeWebviewPanel: (panel) => {
          this.#addPanel(panel);
          return Promise.resolve();
        },
      }),
    );
    this.#list.add(
      agent.onInspector(({ method, params }) => {
        for (const { session } of this.#surfaces) session?.fromAgent(method, params);
      }),
    );
    this.#list.add(shares.onChanged(() => this.#tellState()));
    this.#list.add(
      agent.supervisor.onStateChanged((state) => {
        this.#tellState();
        if (state !== "running") return;
        // Another agent has another capture, and knows none of the page's views.
        if (this.#agentRan) for (const surface of this.#surfaces) this.#load(surface);
        this.#agentRan = true;
      }),
    );
    this.#list.add(
      workspace.onDidGrantWorkspaceTrust(() => {
        for (const surface of this.#surfaces) this.#load(surface);
      }),
    );
  }

  /** Brings the inspector to the front, where it is shown already or in the panel; with `filter`, shows only that. */
  async reveal(filter?: string): Promise<void> {
    let surface = [...this.#surfaces].find(({ placement }) => placement === "editor");
    if (surface === undefined) {
      await commands.executeCommand(`${VIEW}.focus`);
      surface = [...this.#surfaces].find(({ placement }) => placement === "panel");
    } else surface.show();
    if (surface === undefined || filter === undefined) return;
    if (surface.ready) surface.session?.notify("host/reveal", { filter });
    else surface.pendingFilter = filter;
  }

  openInEditor(): void {
    const open = [...this.#surfaces].find(({ placement }) => placement === "editor");
    if (open !== undefined) {
      open.show();
      return;
    }
    const title = l10n.t("Portlight Inspector");
    this.#addPanel(window.createWebviewPanel(PANEL, title, ViewColumn.Active, { enableScripts: true }));
  }

  dispose(): void {
    for (const { session } of this.#surfaces) session?.dispose();
    this.#surfaces.clear();
    this.#list.dispose();
  }

  #addView(view: WebviewView): void {
    const surface = this.#add(view.webview, "panel", () => view.show());
    // A hidden page is unloaded, and loads anew when it is shown.
    view.onDidChangeVisibility(() => {
      if (!view.visible) this.#renewSession(surface);
    });
    view.onDidDispose(() => this.#remove(surface));
  }

  #addPanel(panel: WebviewPanel): void {
    panel.iconPath = {
      light: Uri.joinPath(this.#media, "inspector-light.svg"),
      dark: Uri.joinPath(this.#media, "inspector-dark.svg"),
    };
    const surface = this.#add(panel.webview, "editor", () => panel.reveal());
    panel.onDidChangeViewState(() => {
      if (!panel.visible) this.#renewSession(surface);
    });
    panel.onDidDispose(() => this.#remove(surface));
  }

  #add(webview: Webview, placement: Surface["placement"], show: () => void): Surface {
    const surface: Surface = { webview, placement, show, session: undefined, pendingFilter: undefined, ready: false };
    this.#surfaces.add(surface);
    webview.onDidReceiveMessage((message: unknown) => surface.session?.receive(message));
    this.#load(surface);
    return surface;
  }

  #remove(surface: Surface): void {
    surface.session?.dispose();
    this.#surfaces.delete(surface);
  }

  #load(surface: Surface): void {
    const { webview } = surface;
    this.#renewSession(surface);
    webview.options = { enableScripts: workspace.isTrusted, enableForms: false, localResourceRoots: [this.#root] };
    webview.html = workspace.isTrusted
      ? inspectorHtml({
          placement: surface.placement,
          cspSource: webview.cspSource,
          url: (file) => webview.asWebviewUri(Uri.joinPath(this.#root, file)).toString(),
        })
      : plainHtml(l10n.t("Restricted Mode"), [
          l10n.t("Portlight shares nothing and starts none of its programs until this workspace is trusted."),
        ]);
  }

  /** Each load of the page has a connection of its own: answers meant for an earlier load must not reach it. */
  #renewSession(surface: Surface): void {
    const { agent } = this.#portlight;
    surface.session?.dispose();
    surface.ready = false;
    if (!workspace.isTrusted) return;
    surface.session = new InspectorSession(
      {
        post: (message) => void surface.webview.postMessage(message),
        agent: () => agent.supervisor.acquire(),
        handlers: hostHandlers(
          async () => {
            // The page asks everything else of the agent at the same time: its state is that at which they meet.
            await agent.supervisor.acquire().catch(() => undefined);
            return this.#state(surface.placement);
          },
          () => this.openInEditor(),
        ),
        onReady: () => {
          surface.ready = true;
          const filter = surface.pendingFilter;
          surface.pendingFilter = undefined;
          if (filter !== undefined) surface.session?.notify("host/reveal", { filter });
        },
      },
      this.#watches,
    );
  }

  #tellState(): void {
    // The counters of a share change all the time, and are no part of this state.
    const state = JSON.stringify(this.#state("panel"));
    if (state === this.#lastState) return;
    this.#lastState = state;
    for (const { session, placement } of this.#surfaces) session?.notify("host/stateChanged", this.#state(placement));
  }

  #state(placement: Surface["placement"]): HostState {
    const { agent, shares } = this.#portlight;
    const { state } = agent.supervisor;
    return {
      host: "vscode",
      placement,
      agent: state === "running" ? "running" : state === "stopped" || state === "failed" ? "stopped" : "starting",
      shares: shares.all.map(({ info }) => ({
        id: info.id,
        port: info.port,
        kind: info.kind,
        state: info.state,
        url: info.url,
        ...(info.problem === undefined ? {} : { problem: info.problem.message }),
      })),
    };
  }
}
