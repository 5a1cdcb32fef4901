// Opens the client of registries for a command. Everything is loaded only when a registry is really asked.

import process from 'node:process'
import type { ImageSource } from '../image/image.ts'
import type { PullPolicy } from '../registry/image-source.ts'
import type { Registries } from '../registry/registry.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { CommandContext, OptionSpec, ParsedOptions } from './command.ts'
import { readRegistryOptions, registryOptions } from './registry-options.ts'

/**
 * `options` of a command that has the options of registries, or those in `table`; the caller disposes the result.
 * @throws USAGE
 */
export async function openRegistries(
  { emit }: Pick<CommandContext, 'emit'>,
  options?: ParsedOptions,
  table: readonly OptionSpec[] = registryOptions,
): Promise<Registries> {
  const { openRegistries: open } = await import('../registry/open-registries.ts')
  return await open({
    environment: process.env,
    userId: process.geteuid?.() ?? 0,
    emit,
    ...(options === undefined ? {} : readRegistryOptions(options, table)),
  })
}

/** Images by name: the local store, then registries, which are opened when something is missing. */
export interface OpenImageSource extends ImageSource, AsyncDisposable {}

export interface ImageSourceChoice {
  readonly store: DiskStore
  /** `missing` where it is left out. */
  readonly pull?: PullPolicy
  /** Of a command that has the options of registries. */
  readonly options?: ParsedOptions
}

/** The caller disposes it. */
export function openImageSource(
  context: Pick<CommandContext, 'emit'>,
  { store, pull = 'missing', options }: ImageSourceChoice,
): OpenImageSource {
  let opened: Promise<Registries> | undefined
  const registries = (): Promise<Registries> => (opened ??= openRegistries(context, options))
  return {
    async findImage(...question) {
      const { registryImageSource } = await import('../registry/image-source.ts')
      const source = registryImageSource({ store, registries, pull, emit: context.emit })
      return await source.findImage(...question)
    },
    async [Symbol.asyncDispose]() {
      await (await opened?.catch(() => undefined))?.[Symbol.asyncDispose]()
    },
  }
}
