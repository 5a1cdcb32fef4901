// The image that a container is made from: the store's, or a registry's where it is missing. Only what a start needs is
// loaded; registries are when one must be asked.

import path from 'node:path'
import type { ContainerRequest } from '../container/container.ts'
import { KauriError } from '../core/errors.ts'
import type { Platform } from '../oci/platform.ts'
import type { PullPolicy } from '../registry/image-source.ts'
import type { CommandContext, OptionSpec, ParsedOptions } from './command.ts'

const policies = ['always', 'missing', 'never'] as const satisfies readonly PullPolicy[]

/** How the options of a command say when registries are asked. */
export const pullOption: OptionSpec = {
  long: 'pull',
  value: 'WHEN',
  choices: policies,
  summary: 'When the image is pulled: always, missing (the default), never',
}

type ContainerImage = ContainerRequest['image']

/** Reads `--pull` and `--platform`. @throws IMAGE_NOT_FOUND, REGISTRY_FAILED, REGISTRY_DENIED */
export async function openContainerImage(
  name: string,
  options: ParsedOptions,
  context: CommandContext,
): Promise<ContainerImage> {
  const policy = policies.find(word => word === options.text('pull')) ?? 'missing'
  const platform = await wantedPlatform(options.text('platform'))
  if (policy === 'always') return await pullFor(name, platform, { context, policy })
  try {
    return await openStored(name, platform, context)
  } catch (error) {
    if (policy === 'never' || !isMissing(error) || isDigestWord(name)) throw error
    return await pullMissing(name, platform, { context, error })
  }
}

async function wantedPlatform(text: string | undefined): Promise<Platform | undefined> {
  if (text === undefined) return undefined
  const { parsePlatform } = await import('../oci/platform.ts')
  return parsePlatform(text)
}

async function openStored(
  name: string,
  platform: Platform | undefined,
  { dataRoot }: CommandContext,
): Promise<ContainerImage> {
  const [{ layoutReader }, { getImage }] = await Promise.all([
    import('../store/layout-reader.ts'),
    import('../image/find-image.ts'),
  ])
  const store = layoutReader(path.join(dataRoot, 'oci'))
  const { descriptor } = await getImage(store, name)
  if (platform === undefined) {
    const { openKnownImage } = await import('../container/known-image.ts')
    return await openKnownImage(path.join(dataRoot, 'cache/images'), store, descriptor)
  }
  const { openImage } = await import('../image/open-image.ts')
  return await openImage(store, descriptor, platform)
}

/** The name is not there, or the platform of an index is not. */
function isMissing(error: unknown): error is KauriError {
  return (
    error instanceof KauriError &&
    (error.code === 'IMAGE_NOT_FOUND' || error.code === 'BLOB_NOT_FOUND')
  )
}

/** No registry knows images by the beginning of a digest. */
function isDigestWord(name: string): boolean {
  return /^(?:sha256:[0-9a-f]*|[0-9a-f]{64})$/.test(name)
}

interface Missing {
  readonly context: CommandContext
  readonly error: KauriError
}

/** Where nobody has it, what the store said is what matters. */
async function pullMissing(
  name: string,
  platform: Platform | undefined,
  { context, error }: Missing,
): Promise<ContainerImage> {
  try {
    return await pullFor(name, platform, { context, policy: 'missing' })
  } catch (failure) {
    const isRegistrys =
      failure instanceof KauriError &&
      ['REGISTRY_FAILED', 'REGISTRY_DENIED', 'IMAGE_NOT_FOUND'].includes(failure.code)
    if (!isRegistrys) throw failure
    throw new KauriError(
      'IMAGE_NOT_FOUND',
      `${error.message}, and no registry gave it: ${failure.message}`,
      {
        hint: [...new Set([error.hint, failure.hint])]
          .filter(hint => hint !== undefined)
          .join('; '),
        cause: failure,
      },
    )
  }
}

interface Pull {
  readonly context: CommandContext
  readonly policy: PullPolicy
}

async function pullFor(
  name: string,
  platform: Platform | undefined,
  { context, policy }: Pull,
): Promise<ContainerImage> {
  const [{ openStore }, { openRegistries }, { registryImageSource }, { hostPlatform }] =
    await Promise.all([
      import('./open-store.ts'),
      import('./registry-access.ts'),
      import('../registry/image-source.ts'),
      import('../oci/platform.ts'),
    ])
  const { emit, signal } = context
  const store = openStore(context)
  await using registries = await openRegistries(context)
  // A short name may be an alias of one that is stored.
  const reference = registries.parseName(name)
  const open = async (): Promise<typeof registries> => registries
  const source = registryImageSource({ store, registries: open, pull: policy, emit })
  const found = await source.findImage(reference, platform ?? hostPlatform(), { signal })
  if (found !== undefined) return found.image
  throw new KauriError('IMAGE_NOT_FOUND', `there is no image ${name}`)
}
