// Commands that write to the store, each with what it needs: for tests that end them in the middle.

import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { KauriProgram } from '../../helpers/kauri-program.ts'
import type { RegistryServer } from '../../helpers/registry-server.ts'
import { tarOf } from '../../helpers/tar.ts'

export interface WriteSetting {
  readonly kauri: KauriProgram
  readonly registry: RegistryServer
  /** For archives and contexts. */
  readonly directory: string
}

/** One command line, and the names that it makes. */
export interface Writing {
  readonly args: readonly string[]
  readonly input?: Uint8Array
  readonly makes: readonly string[]
}

/** Commands by their word; each call gives one that has work to do. */
export type Writings = Readonly<Record<string, (turn: number) => Writing>>

const remoteImages = 3

/** A layer that nothing makes smaller, so that writing it takes a while. */
function rootTar(name: string): Buffer {
  const body = randomBytes(1_500_000)
  return tarOf({ name: './', type: '5' }, { name: `./${name}`, body })
}

async function must(kauri: KauriProgram, args: readonly string[], input?: Buffer): Promise<void> {
  const result = await kauri.run(args, input === undefined ? {} : { input })
  if (result.code !== 0) throw new Error(`kauri ${args.join(' ')}: ${result.stderr}`)
}

/** Makes the image `seed`, archives, and a registry with images; the store has only the seed afterwards. */
export async function prepareWritings(setting: WriteSetting): Promise<Writings> {
  const { kauri, registry, directory } = setting
  await must(kauri, ['import', '-', 'seed'], rootTar('seed'))
  const remote = (number: number): string => `${registry.host}/remote/image-${number}:1`
  const archive = (number: number): string => path.join(directory, `archive-${number}.tar`)
  for (let number = 0; number < remoteImages; number++) {
    await must(kauri, ['import', '-', remote(number)], rootTar(`remote-${number}`))
    await must(kauri, ['push', '-q', remote(number)])
    await must(kauri, ['tag', remote(number), `loaded-${number}:1`])
    await must(kauri, ['save', '-o', archive(number), `loaded-${number}:1`])
    await must(kauri, ['rmi', remote(number), `loaded-${number}:1`])
  }
  await must(kauri, ['gc', '--older-than', '0s'])
  return {
    import: turn => ({
      args: ['import', '-', `import-${turn}:1`],
      input: rootTar('file'),
      makes: [`import-${turn}:1`],
    }),
    build: turn => {
      const context = path.join(directory, `context-${turn}`)
      mkdirSync(context)
      writeFileSync(path.join(context, 'Dockerfile'), 'FROM seed\nCOPY file /\nLABEL a=b\n')
      writeFileSync(path.join(context, 'file'), randomBytes(1_000_000))
      return {
        args: ['build', '-q', '-t', `build-${turn}:1`, context],
        makes: [`build-${turn}:1`],
      }
    },
    pull: turn => ({
      args: ['pull', '-q', remote(turn % remoteImages)],
      makes: [remote(turn % remoteImages)],
    }),
    load: turn => ({
      args: ['load', '-q', '-i', archive(turn % remoteImages)],
      makes: [`loaded-${turn % remoteImages}:1`],
    }),
    tag: turn => ({ args: ['tag', 'seed', `tag-${turn}:1`], makes: [`tag-${turn}:1`] }),
    gc: () => ({ args: ['gc', '--older-than', '0s'], makes: [] }),
  }
}
