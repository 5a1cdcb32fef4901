// Lowers Dockerfile texts without any image or directory being there.

import { KauriError } from '../../src/core/errors.ts'
import { createLinter } from '../../src/dockerfile/linter.ts'
import { lowerDockerfile } from '../../src/dockerfile/lower-dockerfile.ts'
import type { LoweredDockerfile, LowerOptions } from '../../src/dockerfile/lower-options.ts'
import { readDockerfile } from '../../src/dockerfile/read-dockerfile.ts'
import { type Digest, parseDigest } from '../../src/oci/digest.ts'
import { defaultPath, type ImageConfig, type RunConfig } from '../../src/oci/image-config.ts'
import type { Platform } from '../../src/oci/platform.ts'
import type { AddStep, BuildStage, RunStep } from '../../src/plan/plan.ts'

export const amd64: Platform = { os: 'linux', architecture: 'amd64' }

/** What an image of the tests has, unless a test says otherwise. */
export const busyboxConfig: RunConfig = { Env: [`PATH=${defaultPath}`], Cmd: ['sh'] }

export interface LoweringOptions extends Partial<Omit<LowerOptions, 'linter'>> {
  /** Configurations by the name as FROM has it; others are busybox's. */
  readonly images?: Readonly<Record<string, RunConfig & { readonly architecture?: string }>>
  /** Names that no image has. */
  readonly missing?: readonly string[]
  /** Times of contexts and addresses. */
  readonly times?: Readonly<Record<string, number>>
}

/** A lowered text, and which images were asked for, as `name platform`. */
export interface Lowering extends LoweredDockerfile {
  readonly asked: readonly string[]
  /** The last stage. */
  readonly result: BuildStage
}

export const manifest: Digest = parseDigest(`sha256:${'a'.repeat(64)}`)

/** @throws whatever reading and lowering throw */
export async function lowerText(text: string, options: LoweringOptions = {}): Promise<Lowering> {
  const { images = {}, missing = [], times = {}, ...given } = options
  const asked: string[] = []
  const checks = given.buildArgs?.get('BUILDKIT_DOCKERFILE_CHECK')
  const linter = createLinter({ text, checks })
  const lowered = await lowerDockerfile(
    readDockerfile(text, 'Dockerfile', linter),
    {
      buildArgs: new Map(),
      platform: amd64,
      buildPlatform: amd64,
      mainContext: 'context',
      contexts: { context: { directory: '/context' } },
      namedContexts: new Map(),
      labels: new Map(),
      network: 'bridge',
      allow: new Set(),
      ...given,
      linter,
    },
    {
      findImage: (reference, platform, where) => {
        asked.push(`${reference} ${platform.os}/${platform.architecture}`)
        if (missing.includes(reference))
          throw new KauriError('IMAGE_NOT_FOUND', `no image ${reference}`, { where })
        const known: RunConfig & { readonly architecture?: string } =
          images[reference] ?? busyboxConfig
        const { architecture = platform.architecture, ...config } = known
        const image: ImageConfig = {
          ...platform,
          architecture,
          config,
          rootfs: { type: 'layers', diff_ids: [] },
        }
        return Promise.resolve({ reference: `full/${reference}`, manifest, config: image })
      },
      findTime: source => {
        const name = source.kind === 'context' ? source.context : undefined
        const address = source.kind === 'git' ? source.repository : undefined
        return Promise.resolve(times[name ?? address ?? ('url' in source ? source.url : '')])
      },
    },
  )
  const result = lowered.plan.stages.at(-1)
  if (result === undefined) throw new Error('a plan has a stage')
  return { ...lowered, asked, result }
}

/** The RUN steps of a stage. */
export function runSteps({ steps }: BuildStage): RunStep[] {
  return steps.filter(step => step.kind === 'run')
}

/** The COPY and ADD steps of a stage. */
export function addSteps({ steps }: BuildStage): AddStep[] {
  return steps.filter(step => step.kind === 'add')
}

/** The `created_by` texts of a stage's own history. */
export function historyTexts({ history }: BuildStage): (string | undefined)[] {
  return history.kind === 'instructions' ? history.lines.map(line => line.created_by) : []
}
