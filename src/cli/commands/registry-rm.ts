// `kauri registry rm`: takes tags and manifests out of a registry.

import { KauriError } from '../../core/errors.ts'
import { formatFamiliar, formatReference, type Reference } from '../../oci/reference.ts'
import type { RegistryRepository } from '../../registry/registry.ts'
import type { CommandSpec } from '../command.ts'
import { openRegistries } from '../registry-access.ts'
import { registryOptions } from '../registry-options.ts'

export const command: CommandSpec = {
  name: 'registry rm',
  summary: 'Delete tags or manifests in a registry',
  operands: 'NAME:TAG|NAME@DIGEST...',
  minOperands: 1,
  details: [
    'NAME:TAG takes the tag away and leaves the manifest; with --manifest the manifest goes with all its tags, which is all that some registries can do. NAME@DIGEST deletes that manifest. The room is freed by the registry’s own garbage collection.',
  ],
  options: [
    { long: 'manifest', summary: 'Delete what the tag stands for, with all its tags' },
    ...registryOptions,
  ],
  async run({ options, positionals, context }) {
    await using registries = await openRegistries(context, options)
    const names = positionals.map(word => requireTarget(registries.parseName(word), word))
    for (const reference of names) {
      const repository = registries.repository(reference)
      const target = options.flag('manifest')
        ? await digestOfTag(repository, reference, context.signal)
        : (reference.digest ?? reference.tag ?? '')
      if (!(await deleteFrom(repository, target, context.signal))) throw missing(reference)
      context.print(formatFamiliar(reference))
    }
    context.printJson(names.map(reference => ({ reference: formatReference(reference) })))
    return 0
  },
}

/** `latest` is deleted by who says so. */
function requireTarget(reference: Reference, word: string): Reference {
  if (reference.digest !== undefined || /:[^/]*$/.test(word)) return reference
  throw new KauriError('USAGE', `${word} names no tag`, {
    hint: `write ${word}:TAG or ${word}@DIGEST; a repository goes with its last manifest`,
  })
}

async function digestOfTag(
  repository: RegistryRepository,
  reference: Reference,
  signal: AbortSignal,
): Promise<string> {
  const { digest, tag = '' } = reference
  const found = digest ?? (await repository.resolve(tag, { signal, forPush: true }))?.digest
  if (found === undefined) throw missing(reference)
  return found
}

async function deleteFrom(
  repository: RegistryRepository,
  target: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return await repository.deleteManifest(target, { signal })
  } catch (error) {
    // Older registries delete manifests alone, and say so in different ways.
    const isAboutTags = !target.includes(':') && error instanceof KauriError
    if (!isAboutTags || !['UNSUPPORTED', 'REGISTRY_FAILED'].includes(error.code)) throw error
    throw new KauriError(error.code, error.message, {
      hint: 'the registry may delete no tags: --manifest deletes the manifest with all its tags',
      cause: error,
    })
  }
}

function missing(reference: Reference): KauriError {
  return new KauriError('IMAGE_NOT_FOUND', `there is no image ${formatFamiliar(reference)}`)
}
