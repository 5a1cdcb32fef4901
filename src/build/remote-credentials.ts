// The caller's credentials for hosts, by the names that BuildKit gives such secrets. They go into one request's header or
// one program's environment, and nowhere else.

import type { SecretSource } from './build.ts'
import { readSecret } from './read-secret.ts'

type Secrets = ReadonlyMap<string, SecretSource> | undefined

/** The Authorization header that the caller has for the address's host: a token for it, or a whole header. */
export function httpAuthorization(url: string, secrets: Secrets): string | undefined {
  const host = URL.parse(url)?.hostname ?? ''
  const token = secretText(`HTTP_AUTH_TOKEN_${host}`, secrets)
  return token === undefined ? secretText(`HTTP_AUTH_HEADER_${host}`, secrets) : `Bearer ${token}`
}

/** The same for a git remote; what is named for the host goes before what is for every host. */
export function gitAuthorization(remote: string, secrets: Secrets): string | undefined {
  const host = URL.parse(remote)?.host ?? ''
  for (const suffix of [`.${host}`, '']) {
    const header = secretText(`GIT_AUTH_HEADER${suffix}`, secrets)
    if (header !== undefined) return header
    const token = secretText(`GIT_AUTH_TOKEN${suffix}`, secrets)
    if (token !== undefined)
      return `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`
  }
  return undefined
}

/** Headers are one line; files end with a line break. */
function secretText(id: string, secrets: Secrets): string | undefined {
  const source = secrets?.get(id)
  if (source === undefined) return undefined
  const text = readSecret(source)?.toString('utf8').trim()
  return text === '' ? undefined : text
}
