import { l10n, window, type Memento } from "vscode";
import { leavesMachine, relayName, type ShareRequest } from "./share-request.ts";

const KEY = "portlight.consents";

/**
 * Asks, before a port can be reached from outside this machine for the first time, whether it may. Remembered for this
 * workspace, relay and port once the user agreed; a refusal is asked again.
 */
export async function askConsent(request: ShareRequest, state: Memento): Promise<boolean> {
  if (!leavesMachine(request)) return true;
  const consents = state.get<readonly string[]>(KEY, []);
  const key = `${relayName(request.relay)}|${request.relay.kind === "local" ? request.reach : "public"}|${request.port}`;
  if (consents.includes(key)) return true;
  const share = l10n.t("Share Port {0}", request.port);
  const chosen = await window.showWarningMessage(...question(request), share);
  if (chosen !== share) return false;
  await state.update(KEY, [...consents.filter((other) => other !== key), key]);
  return true;
}

function question(request: ShareRequest): [message: string, options: { modal: true; detail: string }] {
  const { port, relay } = request;
  const careful = l10n.t(
    "Portlight adds no password: go on only if the service guards itself, or holds nothing that matters. Sharing ends when you stop it or close this window.",
  );
  if (relay.kind === "remote") {
    const detail = l10n.t(
      "The service on port {0} becomes reachable at a URL of the relay {1}. Anyone who knows the URL can connect, from anywhere, and whoever runs the relay can read what passes.",
      port,
      relay.url,
    );
    return [l10n.t("Share port {0} on the internet?", port), { modal: true, detail: `${detail}\n\n${careful}` }];
  }
  const detail = l10n.t(
    "The service on port {0} becomes reachable, without encryption, at an address of this machine in its local network. Anyone in that network can connect.",
    port,
  );
  return [l10n.t("Share port {0} with the local network?", port), { modal: true, detail: `${detail}\n\n${careful}` }];
}
