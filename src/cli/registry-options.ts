// Options of every command that speaks to registries.

import { KauriError } from '../core/errors.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'

export const registryOptions: readonly OptionSpec[] = [
  {
    long: 'tls-verify',
    value: 'BOOL',
    choices: ['true', 'false'],
    summary: 'false takes any certificate, and plain http',
  },
  {
    long: 'authfile',
    value: 'FILE',
    summary: 'Credentials, in place of those of docker and podman (REGISTRY_AUTH_FILE)',
  },
  { long: 'cert-dir', value: 'DIR', summary: 'ca.crt, client.cert and client.key for registries' },
  { long: 'creds', value: 'USER[:PASSWORD]', summary: 'Name and password for this command' },
]

/** What the options say to the client; commands without these options give none. */
export interface RegistryChoices {
  readonly tlsVerify?: boolean
  readonly authFile?: string
  readonly certDirectory?: string
  readonly credentials?: {
    readonly kind: 'password'
    readonly username: string
    readonly password: string
  }
}

/** @throws USAGE */
export function readRegistryOptions(options: ParsedOptions): RegistryChoices {
  const authFile = options.text('authfile')
  const certDirectory = options.text('cert-dir')
  const creds = options.text('creds')
  return {
    tlsVerify: options.text('tls-verify') !== 'false',
    ...(authFile === undefined ? {} : { authFile }),
    ...(certDirectory === undefined ? {} : { certDirectory }),
    ...(creds === undefined ? {} : { credentials: parseCreds(creds) }),
  }
}

function parseCreds(text: string): RegistryChoices['credentials'] & object {
  const colon = text.indexOf(':')
  if (colon < 1)
    throw new KauriError('USAGE', '--creds wants USER:PASSWORD', {
      hint: 'kauri login keeps a password without showing it to other users of the machine',
    })
  return { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1) }
}
