/**
 * An exception on the data path is a defect of ours. It costs the connection it happened on and is reported here; it
 * never costs the process, which carries everybody else's connections.
 */

let report: (message: string) => void = (message) => process.emitWarning(message, "PortlightDefect");

/** Where defects are reported from now on: the process entry hands in its logger. */
export function onDefect(listener: (message: string) => void): void {
  report = listener;
}

/** @param where what was being done, e.g. `tunnel/socket: receive`. The stack is logged, payload never is. */
export function reportDefect(where: string, error: unknown): void {
  report(`Defect in ${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}
