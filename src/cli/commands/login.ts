// `kauri login`: asks a registry whether it takes name and password, and keeps them where docker does.

import process from 'node:process'
import { KauriError } from '../../core/errors.ts'
import { keepCredentials } from '../../registry/keep-credentials.ts'
import type { Credentials } from '../../registry/registry.ts'
import { askTerminal } from '../ask-terminal.ts'
import type { CommandContext, CommandInput, CommandSpec, ParsedOptions } from '../command.ts'
import { openRegistries } from '../registry-access.ts'
import { loginOptions, parseRegistry, readRegistryOptions } from '../registry-options.ts'
import { standardInput } from '../standard-input.ts'

export const command: CommandSpec = {
  name: 'login',
  summary: 'Log in to a registry',
  operands: '[REGISTRY]',
  maxOperands: 1,
  details: [
    'The registry is docker.io where none is named. Name and password are tried, then kept by the credential helper that the settings name, else in config.json of docker (DOCKER_CONFIG, --authfile), which only its owner may read.',
  ],
  options: [
    { long: 'username', short: 'u', value: 'NAME', summary: 'Asked for where it is left out' },
    {
      long: 'password',
      short: 'p',
      value: 'PASSWORD',
      summary: 'Other users of the machine can see it; better use --password-stdin',
    },
    { long: 'password-stdin', summary: 'Read the password from standard input' },
    ...loginOptions,
  ],
  run: runLogin,
}

async function runLogin({ options, positionals, context }: CommandInput): Promise<number> {
  const registry = parseRegistry(positionals[0])
  const credentials = await readCredentials(options, context)
  const { signal } = context
  await using registries = await openRegistries(context, options, loginOptions)
  await registries.checkCredentials(registry, credentials, { signal })
  const place = {
    environment: process.env,
    userId: process.geteuid?.() ?? 0,
    ...readRegistryOptions(options, loginOptions),
  }
  const kept = await keepCredentials(place, registry, credentials, { signal })
  if (kept.kind === 'file' && !context.quiet)
    context.emit({
      kind: 'warning',
      message: `the password is kept readable in ${kept.file}`,
      hint: 'name a credential helper in it as credsStore to keep passwords in a key ring',
    })
  context.print('Login Succeeded')
  context.printJson({ registry, keptBy: kept })
  return 0
}

async function readCredentials(
  options: ParsedOptions,
  { signal }: CommandContext,
): Promise<Credentials> {
  const fromInput = options.flag('password-stdin')
  const given = options.text('password')
  if (fromInput && given !== undefined)
    throw new KauriError('USAGE', '--password and --password-stdin exclude each other')
  if (fromInput && options.text('username') === undefined)
    throw new KauriError('USAGE', '--password-stdin wants --username, too')
  const hint = 'give --username NAME --password-stdin, and the password on standard input'
  const username =
    options.text('username') ?? (await askTerminal('Username: ', { isSecret: false, hint, signal }))
  const password =
    given ??
    (fromInput
      ? await readPassword(signal)
      : await askTerminal('Password: ', { isSecret: true, hint, signal }))
  if (username === '' || password === '')
    throw new KauriError('USAGE', 'name and password must not be empty')
  if (username.includes(':')) throw new KauriError('USAGE', 'a name has no colon')
  return { kind: 'password', username, password }
}

const maxPasswordBytes = 64 * 1024

/** Without the line break that echo and editors put at its end. */
async function readPassword(signal: AbortSignal): Promise<string> {
  const { bytes } = standardInput(signal, 'pipe the password into kauri login --password-stdin')
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of bytes) {
    size += chunk.byteLength
    if (size > maxPasswordBytes)
      throw new KauriError('USAGE', `a password has at most ${maxPasswordBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
