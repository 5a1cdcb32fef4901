// What `kauri copy` reads from and writes to, in skopeo's words: a name of the store, or a kind of place and its address.

import { KauriError } from '../core/errors.ts'
import { parseReference, type Reference } from '../oci/reference.ts'

export type CopyLocation =
  | { readonly kind: 'store'; readonly name: string }
  | { readonly kind: 'registry'; readonly reference: Reference }
  | { readonly kind: 'oci-directory'; readonly path: string; readonly label: string | undefined }
  | { readonly kind: 'oci-archive'; readonly path: string; readonly label: string | undefined }
  | { readonly kind: 'docker-archive'; readonly path: string; readonly label: string | undefined }

const foreignKinds = /^(?:atomic|containers-storage|dir|docker-daemon|ostree|sif|tarball):/

/** @throws USAGE, REFERENCE_INVALID, UNSUPPORTED for the kinds of place that kauri does not know */
export function parseCopyLocation(text: string): CopyLocation {
  if (text.startsWith('docker://'))
    return { kind: 'registry', reference: parseReference(text.slice('docker://'.length)) }
  if (text.startsWith('oci:')) return { kind: 'oci-directory', ...pathAndLabel(text, 'oci:') }
  for (const kind of ['oci-archive', 'docker-archive'] as const)
    if (text.startsWith(`${kind}:`)) return { kind, ...pathAndLabel(text, `${kind}:`) }
  if (foreignKinds.test(text))
    throw new KauriError(
      'UNSUPPORTED',
      `kauri does not copy from or to ${text.replace(/:.*/s, ':')}`,
      {
        hint: 'places are NAME, docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME]',
      },
    )
  return { kind: 'store', name: text }
}

/** The first colon ends the path, as names have colons of their own. */
function pathAndLabel(text: string, prefix: string): { path: string; label: string | undefined } {
  const rest = text.slice(prefix.length)
  const colon = rest.indexOf(':')
  const path = colon < 0 ? rest : rest.slice(0, colon)
  const label = colon < 0 ? '' : rest.slice(colon + 1)
  if (path === '') throw new KauriError('USAGE', `${text} names no file or directory`)
  return { path, label: label === '' ? undefined : label }
}
