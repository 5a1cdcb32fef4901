// Which credentials a repository gets: those that were given, else what the files and helpers of docker and of
// containers say, the most special entry first.

import { type AuthFile, authFilePaths, longestMatch, readAuthFile } from './auth-file.ts'
import { askHelper } from './credential-helper.ts'
import type { Credentials, RegistryOptions, RepositoryName, Signalled } from './registry.ts'

/** Looks credentials up; files are read once, helpers are asked once for each registry. */
export interface CredentialFinder {
  find(name: RepositoryName, options?: Signalled): Promise<Credentials | undefined>
}

/** `configured` are the helpers that registries.conf lists for every registry. */
export function credentialFinder(
  options: RegistryOptions,
  configured: readonly string[],
): CredentialFinder {
  if (options.credentials !== undefined) return { find: async () => options.credentials }
  let files: readonly AuthFile[] | undefined
  const answers = new Map<string, Promise<Credentials | undefined>>()
  const ask = async (
    helper: string,
    registry: string,
    signal: AbortSignal | undefined,
  ): Promise<Credentials | undefined> => {
    const key = `${helper} ${registry}`
    const { environment } = options
    const answer = answers.get(key) ?? askHelper({ helper, registry, environment, signal })
    answers.set(key, answer)
    return await answer
  }
  return {
    async find({ registry, repository }, { signal } = {}) {
      files ??= authFilePaths(options)
        .map(readAuthFile)
        .filter(file => file !== undefined)
      for (const file of files) {
        const helper = file.helpers.get(registry) ?? file.store
        const kept = helper === undefined ? undefined : await ask(helper, registry, signal)
        const found = kept ?? longestMatch(file, registry, repository)
        if (found !== undefined) return found
      }
      for (const helper of configured) {
        const found = helper === filesHelper ? undefined : await ask(helper, registry, signal)
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}

/** registries.conf calls the files so in its list of helpers. */
const filesHelper = 'containers-auth.json'
