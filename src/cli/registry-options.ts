// Options of every command that speaks to registries.

import { KauriError } from '../core/errors.ts'
import type { Reference } from '../oci/reference.ts'
import type { Registries } from '../registry/registry.ts'
import { canonicalRegistry, dockerHub } from '../registry/registry-host.ts'
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

/** A registry as typed; docker.io where none is. @throws USAGE for what is no host */
export function parseRegistry(text: string | undefined): string {
  const registry = text === undefined ? dockerHub.name : canonicalRegistry(text)
  if (/^(?:[a-zA-Z0-9][a-zA-Z0-9.-]*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/.test(registry))
    return registry
  throw new KauriError('USAGE', `"${(text ?? '').slice(0, 200)}" is not the name of a registry`, {
    hint: 'write HOST or HOST:PORT',
  })
}

/** The name of a repository, which has neither tag nor digest. @throws USAGE, REFERENCE_INVALID */
export function parseRepository(
  registries: Pick<Registries, 'parseName'>,
  word: string,
): Pick<Reference, 'registry' | 'repository'> {
  const { registry, repository, digest } = registries.parseName(word)
  if (digest === undefined && !/:[^/]*$/.test(word)) return { registry, repository }
  throw new KauriError('USAGE', `a repository has no tag or digest: ${word}`)
}
