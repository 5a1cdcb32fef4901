// Options of `oci create` and `oci run`, and the request that they make.

import process from 'node:process'
import { KauriError } from '../core/errors.ts'
import type { CreateRequest } from '../oci-runtime/create-container.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'

export const createOptions: readonly OptionSpec[] = [
  {
    long: 'bundle',
    short: 'b',
    value: 'DIR',
    summary: 'Directory of the bundle (the working directory)',
  },
  {
    long: 'config',
    short: 'f',
    value: 'FILE',
    summary: 'Configuration, relative to the bundle (config.json)',
  },
  { long: 'console-socket', value: 'FILE', summary: 'Unix socket that gets the terminal' },
  { long: 'pid-file', value: 'FILE', summary: 'Write the id of the first process to a file' },
  { long: 'preserve-fds', value: 'N', summary: 'Hand on N descriptors from 3 on' },
  { long: 'no-new-keyring', summary: 'Keep the session keyring of the caller' },
  { long: 'no-pivot', summary: 'Refused: the root is entered by pivot_root alone' },
]

/** @throws USAGE for descriptors that are not there, UNSUPPORTED for --no-pivot */
export async function readCreateRequest(
  id: string,
  options: ParsedOptions,
  stays: boolean,
): Promise<CreateRequest> {
  if (options.flag('no-pivot'))
    throw new KauriError(
      'UNSUPPORTED',
      '--no-pivot is not supported: without pivot_root a container can leave its root',
      {
        hint: 'leave it out, or run from a root that is no initial ramdisk',
      },
    )
  const { LISTEN_FDS, KAURI_INHERITED_FDS } = process.env
  const { preservedDescriptors, withListening } = await import(
    '../oci-runtime/preserved-descriptors.ts'
  )
  return {
    id,
    bundle: options.text('bundle') ?? '.',
    configFile: options.text('config'),
    pidFile: options.text('pid-file'),
    consoleSocket: options.text('console-socket'),
    preserveFds: preservedDescriptors({
      preserved: options.text('preserve-fds'),
      listening: LISTEN_FDS,
      inherited: KAURI_INHERITED_FDS,
    }),
    keepKeyring: options.flag('no-new-keyring'),
    stays,
    adjust: config => ({ ...config, process: withListening(config.process, LISTEN_FDS) }),
  }
}
