// What the server says where it refuses (distribution-spec v1.1 "Error Codes").

import { hasErrno, KauriError } from '../core/errors.ts'

export type RegistryErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNSUPPORTED'

/** A refusal on its way to the client. */
export class Refusal extends Error {
  readonly status: number
  readonly code: RegistryErrorCode
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    code: RegistryErrorCode,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

/** What a failure of the store or of reading means to a client; its own words stay here where they tell of the host. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof KauriError) {
    const known = refusals[error.code]
    if (known !== undefined) return new Refusal(known[0], known[1], error.message)
  }
  if (hasErrno(error, 'ENOSPC', 'EDQUOT'))
    return new Refusal(507, 'BLOB_UPLOAD_INVALID', 'no space is left')
  return new Refusal(500, 'UNSUPPORTED', 'internal error')
}

const refusals: Readonly<
  Partial<Record<KauriError['code'], readonly [number, RegistryErrorCode]>>
> = {
  ARCHIVE_INVALID: [400, 'MANIFEST_INVALID'],
  BLOB_NOT_FOUND: [404, 'MANIFEST_BLOB_UNKNOWN'],
  CHECKSUM_MISMATCH: [400, 'DIGEST_INVALID'],
  DIGEST_INVALID: [400, 'DIGEST_INVALID'],
  DISK_FULL: [507, 'BLOB_UPLOAD_INVALID'],
  REFERENCE_INVALID: [400, 'NAME_INVALID'],
  UNSUPPORTED: [400, 'MANIFEST_INVALID'],
}
