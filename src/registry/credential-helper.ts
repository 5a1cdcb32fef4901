// Credential helpers: programs `docker-credential-NAME` that keep passwords in a key ring. They get a word as argument and
// the registry on standard input, and answer in JSON. What they answer gets into no message.

import { KauriError } from '../core/errors.ts'
import { runProcess } from '../core/process.ts'
import { documentPlace, objectReader, parseJsonText, readText } from '../oci/json-shape.ts'
import { keyOfRegistry } from './auth-file.ts'
import type { Credentials, RegistryOptions, Signalled } from './registry.ts'

export interface HelperCall extends Signalled {
  /** The part of the program's name behind `docker-credential-`. */
  readonly helper: string
  readonly registry: string
  readonly environment: RegistryOptions['environment']
}

/** What the helper keeps, or undefined. @throws PREREQUISITE_MISSING, PROCESS_FAILED */
export async function askHelper(call: HelperCall): Promise<Credentials | undefined> {
  const { exitCode, stdout, stderr } = await runHelper(call, 'get', keyOfRegistry(call.registry))
  if (exitCode !== 0) {
    if (/credentials not found|no credentials server URL/i.test(stdout)) return undefined
    throw helperFailed(call.helper, 'get', firstLine(stderr))
  }
  const place = documentPlace(`the answer of docker-credential-${call.helper}`, 'PROCESS_FAILED')
  const members = objectReader(parseAnswer(stdout, call.helper), place)
  const username = members.optional('Username', readText) ?? ''
  const secret = members.optional('Secret', readText) ?? ''
  if (secret === '') return undefined
  if (username === '<token>') return { kind: 'identity-token', token: secret }
  return { kind: 'password', username, password: secret }
}

/** Hands credentials to the helper. @throws PREREQUISITE_MISSING, PROCESS_FAILED */
export async function tellHelper(call: HelperCall, credentials: Credentials): Promise<void> {
  const [Username, Secret] =
    credentials.kind === 'password'
      ? [credentials.username, credentials.password]
      : ['<token>', credentials.token]
  const input = JSON.stringify({ ServerURL: keyOfRegistry(call.registry), Username, Secret })
  const { exitCode, stderr } = await runHelper(call, 'store', input)
  if (exitCode !== 0) throw helperFailed(call.helper, 'store', firstLine(stderr))
}

/** Takes them out of the helper's keeping; false where it had none. */
export async function forgetInHelper(call: HelperCall): Promise<boolean> {
  const { exitCode } = await runHelper(call, 'erase', keyOfRegistry(call.registry))
  return exitCode === 0
}

const helperForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

async function runHelper(
  { helper, environment, signal }: HelperCall,
  word: string,
  input: string,
): ReturnType<typeof runProcess> {
  if (!helperForm.test(helper))
    throw new KauriError('USAGE', `"${helper.slice(0, 80)}" is not the name of a credential helper`)
  const env = Object.fromEntries(
    Object.entries(environment).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  )
  const program = `docker-credential-${helper}`
  return await runProcess([program, word], {
    env,
    input,
    signal,
    installHint: `install ${program}, or take ${helper} out of the credential settings`,
  })
}

/** The parser's message would show what it could not read. */
function parseAnswer(stdout: string, helper: string): unknown {
  try {
    return parseJsonText(Buffer.from(stdout), documentPlace('', 'PROCESS_FAILED'))
  } catch {
    throw helperFailed(helper, 'get', 'its answer is no JSON')
  }
}

function helperFailed(helper: string, word: string, why: string): KauriError {
  const reason = why === '' ? '' : `: ${why}`
  return new KauriError('PROCESS_FAILED', `docker-credential-${helper} ${word} failed${reason}`, {
    hint: 'see that its key ring is open',
  })
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0]?.slice(0, 200) ?? ''
}
