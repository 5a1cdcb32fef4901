// User names and passwords of repositories: they are taken out of every address at once and live in a netrc file that
// only root reads (apt_auth.conf(5)), so that no list, key, message or image can hold them.

import { KauriError, type SourcePosition } from '../core/errors.ts'

/** An address as everybody may see it, and the netrc line that opens it. */
export interface PublicAddress {
  readonly uri: string
  readonly netrcLine?: string
}

/** Parts an address from its credentials. @throws REPOSITORY_INVALID for what a netrc file cannot hold */
export function takeCredentials(address: string, where?: SourcePosition): PublicAddress {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#@]*(?:@[^/?#@]*)*)@([^/?#]*)(.*)$/i.exec(address)
  if (match === null) return { uri: address }
  const [, scheme = '', userInfo = '', host = '', rest = ''] = match
  const colon = userInfo.indexOf(':')
  const login = decodeField(colon < 0 ? userInfo : userInfo.slice(0, colon))
  const password = decodeField(colon < 0 ? '' : userInfo.slice(colon + 1))
  const uri = `${scheme}${host}${rest}`
  if (/\s/.test(login + password) || login === '')
    throw new KauriError('REPOSITORY_INVALID', `the credentials of ${uri} cannot be used`, {
      hint: 'use a user name and a password without blanks',
      where,
    })
  const secret = password === '' ? '' : ` password ${password}`
  return { uri, netrcLine: `machine ${scheme}${host}${rest} login ${login}${secret}\n` }
}

function decodeField(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
