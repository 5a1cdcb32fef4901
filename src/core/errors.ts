// The one error class: what failed, what the reader can do next, and where. Codes map to exit statuses in one table.
// Absence that is normal returns undefined (`find…`); absence that is not throws (`get…`, `open…`).

/** Exit status of the command line for each code: 1 failed, 2 wrong usage or invalid input. */
const exitStatusByCode = {
  USAGE: 2,
  DESCRIPTION_NOT_FOUND: 2,
  DESCRIPTION_INVALID: 2,
  REFERENCE_INVALID: 2,
  DIGEST_INVALID: 2,
  ARCHIVE_INVALID: 2,
  FILE_NOT_FOUND: 2,
  IMAGE_NOT_FOUND: 1,
  BLOB_NOT_FOUND: 1,
  BLOB_CORRUPT: 1,
  STORE_INVALID: 1,
  SNAPSHOT_INVALID: 1,
  LOCK_BUSY: 1,
  PACKAGE_NOT_FOUND: 1,
  PACKAGE_CONFLICT: 1,
  PACKAGE_INSTALL_FAILED: 1,
  REPOSITORY_UNREACHABLE: 1,
  REPOSITORY_INVALID: 1,
  SIGNATURE_INVALID: 1,
  CHECKSUM_MISMATCH: 1,
  DOWNLOAD_FAILED: 1,
  REGISTRY_FAILED: 1,
  REGISTRY_DENIED: 1,
  OFFLINE: 1,
  SCRIPT_FAILED: 1,
  PROCESS_FAILED: 1,
  PREREQUISITE_MISSING: 1,
  PERMISSION_DENIED: 1,
  NOT_ROOT: 1,
  DISK_FULL: 1,
  LIMIT_UNAVAILABLE: 1,
  NETWORK_UNAVAILABLE: 1,
  CONTAINER_NOT_FOUND: 1,
  CONTAINER_NOT_RUNNING: 1,
  CONTAINER_RUNNING: 1,
  VOLUME_NOT_FOUND: 1,
  NETWORK_NOT_FOUND: 1,
  NAME_IN_USE: 1,
  UNSUPPORTED: 1,
  LAUNCH_FAILED: 1,
  COMMAND_NOT_FOUND: 127,
  COMMAND_NOT_EXECUTABLE: 126,
  CANCELLED: 130,
  INTERNAL: 1,
} as const

/** What kind of failure it is; one union for the whole program, each code with one exit status. */
export type ErrorCode = keyof typeof exitStatusByCode

/** A place in a file the user wrote; line and column count from 1. */
export interface SourcePosition {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** One finding about an input file; many of them make one error. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning' | 'note'
  /** Stable name of the rule, such as `element-unknown`. */
  readonly rule: string
  readonly message: string
  readonly hint?: string
  readonly where: SourcePosition
  /** The line of the file that the finding is about, without its line break. */
  readonly excerpt?: string
}

export interface KauriErrorDetails {
  /** What the reader can do next: imperative, no full stop. */
  readonly hint?: string | undefined
  readonly where?: SourcePosition | undefined
  readonly diagnostics?: readonly Diagnostic[] | undefined
  /** Last lines that a failed program printed, oldest first. */
  readonly output?: readonly string[] | undefined
  /** Lines of the file that `where` is in, as they shall be shown below the message. */
  readonly excerpt?: readonly string[] | undefined
  readonly cause?: unknown
}

/** The error that every room of kauri throws; the message says what failed, with the values. */
export class KauriError extends Error {
  override readonly name = 'KauriError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly where: SourcePosition | undefined
  readonly diagnostics: readonly Diagnostic[]
  readonly output: readonly string[]
  readonly excerpt: readonly string[]

  constructor(code: ErrorCode, message: string, details: KauriErrorDetails = {}) {
    super(
      redactCredentials(message),
      details.cause === undefined ? undefined : { cause: details.cause },
    )
    this.code = code
    this.hint = details.hint
    this.where = details.where
    this.diagnostics = details.diagnostics ?? []
    this.output = details.output ?? []
    this.excerpt = details.excerpt ?? []
  }

  get exitStatus(): number {
    return exitStatusByCode[this.code]
  }
}

// Lengths are bounded so that a long text without credentials costs no more than one pass.
const urlCredentials = /\b([a-z][a-z0-9+.-]{0,30}:\/\/[^\s/@:]{0,256}):[^\s/]{0,1024}@/gi

/** Hides the password of every URL in a text; messages, logs and events pass through here. */
export function redactCredentials(text: string): string {
  return text.replace(urlCredentials, '$1:***@')
}

/** `file:line:column`, the form that editors and terminals make clickable. */
export function formatPosition(where: SourcePosition): string {
  return `${where.file}:${where.line}:${where.column}`
}

/** True for an operating system error with that code, such as `ENOENT`. */
export function hasErrno(error: unknown, ...codes: readonly string[]): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    codes.includes(error.code)
  )
}
