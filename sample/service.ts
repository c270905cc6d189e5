/** A service of the sample that runs. */
export interface RunningService {
  readonly port: number;
  /** Ends every connection and resolves when the port is free again. */
  close(): Promise<void>;
}

export interface ServiceOptions {
  /** 0 (the default): a free port. */
  readonly port?: number;
}
