import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
  dispose(): void;
}

/** A self-signed certificate for 127.0.0.1, localhost, `domain` and `*.domain`, made by openssl in a temporary folder. It is its own CA. */
export function makeCertificateFiles(domain: string): CertificateFiles {
  const directory = mkdtempSync(path.join(tmpdir(), "portlight-tls-"));
  const certFile = path.join(directory, "cert.pem");
  const keyFile = path.join(directory, "key.pem");
  const names = `subjectAltName=DNS:localhost,DNS:${domain},DNS:*.${domain},IP:127.0.0.1`;
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      `/CN=${domain}`,
    ].concat(["-addext", names, "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", keyFile, "-out", certFile]),
    { stdio: "ignore" },
  );
  return {
    cert: readFileSync(certFile, "utf8"),
    key: readFileSync(keyFile, "utf8"),
    certFile,
    keyFile,
    dispose: () => rmSync(directory, { recursive: true }),
  };
}
