// Platforms as image-spec v1.1.1 image-index.md names them (Go's GOOS and GOARCH), and what `uname -m` calls them.

import { machine } from 'node:os'
import { KauriError } from '../core/errors.ts'
import { definedMembers, listOf, objectReader, type ReadJson, readText } from './json-shape.ts'

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
  readonly 'os.version'?: string
  readonly 'os.features'?: readonly string[]
}

const architectureByMachine: Readonly<Record<string, { architecture: string; variant?: string }>> =
  {
    x86_64: { architecture: 'amd64' },
    i386: { architecture: '386' },
    i586: { architecture: '386' },
    i686: { architecture: '386' },
    aarch64: { architecture: 'arm64', variant: 'v8' },
    armv6l: { architecture: 'arm', variant: 'v6' },
    armv7l: { architecture: 'arm', variant: 'v7' },
    ppc64le: { architecture: 'ppc64le' },
    riscv64: { architecture: 'riscv64' },
    s390x: { architecture: 's390x' },
  }

/** The platform of a `uname -m` name; unknown names stand for themselves. */
export function platformOfMachine(machineName: string): Platform {
  return {
    os: 'linux',
    ...(architectureByMachine[machineName] ?? { architecture: machineName }),
  }
}

/** The `uname -m` name of a platform, the newest where several share one; unknown architectures stand for themselves. */
export function machineOfPlatform({ architecture, variant }: Platform): string {
  const machines = Object.entries(architectureByMachine)
    .filter(([, known]) => known.architecture === architecture)
    .filter(([, known]) => variant === undefined || known.variant === variant)
  return machines.at(-1)?.[0] ?? architecture
}

/** The platform that this machine runs. */
export function hostPlatform(): Platform {
  return platformOfMachine(machine())
}

/** Reads the platform of a descriptor, or the platform members of an image configuration. */
export const readPlatform: ReadJson<Platform> = (value, place) => {
  const members = objectReader(value, place)
  return definedMembers({
    os: members.required('os', readText),
    architecture: members.required('architecture', readText),
    variant: members.optional('variant', readText),
    'os.version': members.optional('os.version', readText),
    'os.features': members.optional('os.features', listOf(readText)),
  })
}

const platformWord = /^[A-Za-z0-9_-]+$/

/**
 * Reads what people type for `--platform`: `linux/arm64/v8`, `linux/arm64`, or one word, an architecture or `linux`.
 * Names of `uname -m`, such as `x86_64`, are taken too.
 * @throws USAGE
 */
export function parsePlatform(text: string): Platform {
  const words = text.toLowerCase().split('/')
  if (words.length > 3 || !words.every(word => platformWord.test(word)))
    throw new KauriError('USAGE', `"${text.slice(0, 100)}" is not a platform`, {
      hint: 'write OS/ARCHITECTURE[/VARIANT], such as linux/arm64',
    })
  const [first = '', second, variant] = words
  if (second === undefined)
    return first === 'linux' ? hostPlatform() : fromWords('linux', first, undefined)
  return fromWords(first, second, variant)
}

function fromWords(os: string, word: string, variant: string | undefined): Platform {
  const known = architectureByMachine[word] ?? { architecture: word }
  const standard = standardVariant(known.architecture)
  return { os, ...known, ...definedMembers({ variant: variant ?? known.variant ?? standard }) }
}

function standardVariant(architecture: string): string | undefined {
  if (architecture === 'arm64') return 'v8'
  return architecture === 'arm' ? 'v7' : undefined
}

/** `linux/arm64/v8`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
}

/** True when an image for `offered` runs where `wanted` is asked for; a variant that is left out is the usual one. */
export function matchesPlatform(offered: Platform, wanted: Platform): boolean {
  return (
    offered.os === wanted.os &&
    offered.architecture === wanted.architecture &&
    effectiveVariant(offered) === effectiveVariant(wanted)
  )
}

/** containerd leaves `v8` of arm64 and `v1` of amd64 out; both forms mean the same. */
function effectiveVariant({ architecture, variant }: Platform): string | undefined {
  if (architecture === 'amd64' && variant === 'v1') return undefined
  return variant ?? standardVariant(architecture)
}
