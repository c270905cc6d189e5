import { l10n, window } from "vscode";
import { DisposableList } from "./disposables.ts";
import type { Portlight } from "./portlight.ts";
import { messageOf } from "./shares.ts";
import type { Death, Supervisor } from "./supervisor.ts";

/** Tells the user, once per incident, when the agent or the relay died while something was shared. */
export function reportDeaths({ agent, relay, shares, log }: Portlight): DisposableList {
  const list = new DisposableList();
  const watch = (supervisor: Supervisor, name: string, after: string): void => {
    list.add(
      supervisor.onDied((death) => {
        const how = death.exit.signal ?? (death.exit.code === null ? "not started" : `exit code ${death.exit.code}`);
        log.warn(`The ${name} process ended (${how}), ${death.willRestart ? "and is started again" : "too often"}.`);
        if (death.willRestart ? death.deaths === 1 && shares.all.length > 0 : true)
          void tell(death, name, after, supervisor);
      }),
    );
  };
  const tell = async (death: Death, name: string, after: string, supervisor: Supervisor): Promise<void> => {
    const showLog = l10n.t("Show Log");
    const tryAgain = l10n.t("Try Again");
    const chosen = death.willRestart
      ? await window.showWarningMessage(
          `${l10n.t("Portlight's {0} process ended unexpectedly.", name)} ${after}`,
          showLog,
        )
      : await window.showErrorMessage(
          l10n.t(
            "Portlight's {0} process ended {1} times in a row and is not started again by itself.",
            name,
            death.deaths,
          ),
          tryAgain,
          showLog,
        );
    if (chosen === showLog) log.show();
    if (chosen === tryAgain) supervisor.acquire().catch((error: unknown) => log.warn(messageOf(error)));
  };
  watch(
    agent.supervisor,
    "agent",
    l10n.t("It is started again, and what was shared keeps its URL. What the inspector had recorded is gone."),
  );
  watch(relay.supervisor, "relay", l10n.t("It is started again, and what was shared keeps its URL."));
  return list;
}
