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

/** Those of a command that is told a name and password some other way. */
export const loginOptions: readonly OptionSpec[] = registryOptions.filter(
  ({ long }) => long !== 'creds',
)

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

/** `table` lists those of the options that the command has. @throws USAGE */
export function readRegistryOptions(
  options: ParsedOptions,
  table: readonly OptionSpec[] = registryOptions,
): RegistryChoices {
  const text = (long: string): string | undefined =>
    table.some(option => option.long === long) ? options.text(long) : undefined
  const authFile = text('authfile')
  const certDirectory = text('cert-dir')
  const creds = text('creds')
  return {
    tlsVerify: text('tls-verify') !== 'false',
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
