// What went wrong with a registry, in words: the network's errors, and the error documents that registries send
// (distribution-spec v1.1 section "Error Codes"). Answers are hostile: short, without control characters.

import { hasErrno, KauriError } from '../core/errors.ts'
import { publicAddress } from './registry-host.ts'
import { type HttpAnswer, type HttpRequest, readWhole, type WholeAnswer } from './transport.ts'

const errorLimits = { maxBytes: 64 * 1024, withinMs: 30_000, what: 'the error' }
const maxMessageLength = 300

/** The errors that a registry's answer lists; empty for an answer of any other form. */
export interface RegistryReport {
  readonly codes: readonly string[]
  /** `denied: requested access to the resource is denied`, or what a few words of text say. */
  readonly text: string
}

/** Reads the body of a refusal; never fails. */
export async function readReport(answer: HttpAnswer): Promise<RegistryReport> {
  try {
    return reportOf(await readWhole(answer, errorLimits))
  } catch {
    return { codes: [], text: '' }
  }
}

/** What a refusal says; a page for people says nothing in one line. */
export function reportOf({ header, bytes }: Pick<WholeAnswer, 'header' | 'bytes'>): RegistryReport {
  const text = new TextDecoder().decode(bytes)
  const errors = parsedErrors(text)
  if (errors === undefined)
    return { codes: [], text: /html/i.test(header('content-type') ?? '') ? '' : oneLine(text) }
  const lines = errors.map(({ code, message }) =>
    [code.toLowerCase().replaceAll('_', ' '), message].filter(word => word !== '').join(': '),
  )
  return { codes: errors.map(({ code }) => code), text: oneLine(lines.join('; ')) }
}

function parsedErrors(text: string): { code: string; message: string }[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const errors: unknown = isObject(value) ? value['errors'] : undefined
    if (!Array.isArray(errors)) return undefined
    return errors.slice(0, 10).map((error: unknown) => {
      const member = (key: string): string => {
        const found = isObject(error) ? error[key] : undefined
        return typeof found === 'string' ? found : ''
      }
      return { code: member('code').toUpperCase(), message: member('message') }
    })
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function oneLine(text: string): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]+/gu, ' ').trim()
  return clean.length > maxMessageLength ? `${clean.slice(0, maxMessageLength)}…` : clean
}

/** The error of an answer that ends the work. */
export function refusal(
  request: Pick<HttpRequest, 'method' | 'url'>,
  status: number,
  report: RegistryReport,
): KauriError {
  const said = report.text === '' ? '' : `: ${report.text}`
  if (status === 401 || status === 403)
    return new KauriError(
      'REGISTRY_DENIED',
      `${request.url.host} denied access to ${request.url.pathname}${said}`,
      { hint: 'log in with kauri login, and see that the name is right and yours to use' },
    )
  return new KauriError(
    'REGISTRY_FAILED',
    `${request.method} ${publicAddress(request.url)} answered ${status}${said}`,
    { hint: status === 429 ? 'wait before trying again, or log in for a higher limit' : undefined },
  )
}

/** The error of a connection that was not made, or broke. */
export function unreachable(url: URL, error: unknown, hint?: string): KauriError {
  return new KauriError('REGISTRY_FAILED', `cannot reach ${url.host}: ${reasonOf(error)}`, {
    hint: hint ?? hintOf(error),
    cause: error,
  })
}

/** What happened, in the words of the lowest error. */
export function reasonOf(error: unknown): string {
  let lowest = error
  for (
    let depth = 0;
    depth < 5 && lowest instanceof Error && lowest.cause instanceof Error;
    depth++
  )
    lowest = lowest.cause
  if (!(lowest instanceof Error)) return String(lowest)
  return oneLine(timeoutText(lowest) ?? (lowest.message || lowest.name))
}

function timeoutText(error: Error): string | undefined {
  if (hasErrno(error, 'UND_ERR_HEADERS_TIMEOUT')) return 'it gave no answer in time'
  if (hasErrno(error, 'UND_ERR_BODY_TIMEOUT')) return 'its answer stopped in the middle'
  if (hasErrno(error, 'UND_ERR_CONNECT_TIMEOUT')) return 'no connection in time'
  return undefined
}

function hintOf(error: unknown): string {
  if (isCertificateError(error))
    return 'put its authority into /etc/containers/certs.d/HOST/ca.crt, or give --tls-verify=false'
  return 'check the name, the network and https_proxy'
}

const certificateErrors = [
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]

function isCertificateError(error: unknown): boolean {
  return hasErrno(error, ...certificateErrors)
}

/** True where the other side speaks plain http: its first bytes are no TLS record. */
export function isPlainHttpAnswer(error: unknown): boolean {
  return hasErrno(
    error,
    'EPROTO',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'ERR_SSL_PACKET_LENGTH_TOO_LONG',
    'ERR_SSL_HTTP_REQUEST',
    'ERR_SSL_UNKNOWN_PROTOCOL',
  )
}

/** True for failures that may be gone in a moment: lost connections, not wrong names or hosts that are not there. */
export function isPassing(error: unknown): boolean {
  return hasErrno(
    error,
    'ECONNRESET',
    'ECONNABORTED',
    'EPIPE',
    'ETIMEDOUT',
    'ENETRESET',
    'UND_ERR_SOCKET',
    'UND_ERR_HEADERS_TIMEOUT',
    'UND_ERR_BODY_TIMEOUT',
    'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
    'HPE_INVALID_EOF_STATE',
    'ERR_STREAM_PREMATURE_CLOSE',
  )
}
