// The ways in which a log refuses to go on. Each message is a whole sentence that names the file and says what to do,
// because it ends up in front of an operator; nothing is ever deleted or repaired behind such an error.

/** Bytes that were known to be good are not good any more, or not there. */
export class CorruptLogError extends Error {
  readonly file: string;
  readonly offsetBytes: number;

  constructor(file: string, offsetBytes: number, what: string, options?: ErrorOptions) {
    super(
      `${file} is damaged at byte ${offsetBytes}: ${what}. Nothing was deleted. Keep the directory for inspection; ` +
        'with other replicas move it away and let this one fetch the log again, else restore it from a backup.',
      options,
    );
    this.name = 'CorruptLogError';
    this.file = file;
    this.offsetBytes = offsetBytes;
  }
}

/** The file was written by a later version of the program. */
export class LogVersionError extends Error {
  readonly file: string;
  readonly version: number;

  constructor(file: string, version: number, known: number) {
    super(
      `${file} has format version ${version}, this program knows versions up to ${known}. ` +
        'Start the version of the program that wrote it, or a later one; nothing was changed.',
    );
    this.name = 'LogVersionError';
    this.file = file;
    this.version = version;
  }
}

/** Another replica's log was being copied into the directory, and the copy did not end. */
export class IncompleteLogError extends Error {
  constructor(file: string) {
    super(
      `${file} says that the log is an unfinished copy of another replica's. ` +
        'Copy it again from the leader, which begins anew by itself; nothing was changed.',
    );
    this.name = 'IncompleteLogError';
  }
}

/** The directory holds the log of another cluster or broker set. */
export class ForeignLogError extends Error {
  constructor(file: string, found: LogIdentity, expected: LogIdentity) {
    super(
      `${file} belongs to broker set "${found.set}" of cluster "${found.clusterId}", expected was "${expected.set}" ` +
        `of cluster "${expected.clusterId}". Check the configured directory and names; nothing was changed.`,
    );
    this.name = 'ForeignLogError';
  }
}

/** Whose log this is; the same on all replicas. */
export interface LogIdentity {
  readonly clusterId: string;
  readonly set: string;
}

export function assertIdentity(file: string, found: LogIdentity, expected: LogIdentity): void {
  if (found.clusterId !== expected.clusterId || found.set !== expected.set) {
    throw new ForeignLogError(file, found, expected);
  }
}
