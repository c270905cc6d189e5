import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateFiles extends Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly dispose: () => void;
}

/** A self-signed certificate for these names and addresses, made now and kept nowhere. Needs the `openssl` program. */
export function selfSigned(names: readonly string[]): Certificate {
  const { cert, key, dispose } = selfSignedFiles(names);
  dispose();
  return { cert, key };
}

/** The same as PEM files in a temporary folder, until `dispose`. The certificate is its own CA. */
export function selfSignedFiles(names: readonly string[]): CertificateFiles {
  const folder = mkdtempSync(join(tmpdir(), "portlight-certificate-"));
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const keyFile = join(folder, "key.pem");
    const certFile = join(folder, "cert.pem");
    const alternatives = names.map((name) => `${isIP(name) === 0 ? "DNS" : "IP"}:${name}`).join(",");
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
        ...["-subj", "/CN=portlight test", "-addext", `subjectAltName=${alternatives}`],
        ...["-addext", "basicConstraints=critical,CA:TRUE", "-keyout", keyFile, "-out", certFile],
      ],
      { stdio: "pipe" },
    );
    return { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8"), certFile, keyFile, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
