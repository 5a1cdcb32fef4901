// Everything that can be said about a Dockerfile without building it. Nothing is downloaded: what a base image brings
// along may not be known, and where a finding depends on that, it says so.

import { type Diagnostic, KauriError } from '../core/errors.ts'
import { parseDigest } from '../oci/digest.ts'
import type { ImageConfig } from '../oci/image-config.ts'
import type { Platform } from '../oci/platform.ts'
import { type CheckedText, checkDiagnostics, errorDiagnostic } from './check-diagnostics.ts'
import type { DockerfileStage, ParsedDockerfile } from './instructions.ts'
import { type CheckFinding, createLinter, type Linter } from './linter.ts'
import { lowerForCheck } from './lower-dockerfile.ts'
import type { ImageResolver } from './lower-options.ts'
import { readDockerfile } from './read-dockerfile.ts'

export interface CheckOptions {
  /** Of this machine, which is taken for that of the result, too. */
  readonly platform: Platform
  /** Patterns of the ignore file that goes with the Dockerfile. */
  readonly ignore?: readonly string[] | undefined
  readonly buildArgs?: ReadonlyMap<string, string>
  /** Check only what this stage needs; undefined: every stage. */
  readonly target?: string | undefined
  /** Finds images that are here already; left out: none is known. */
  readonly findImage?: FindLocalImage | undefined
}

/** The configuration of an image that can be had without asking anybody, or undefined. */
export type FindLocalImage = (
  reference: string,
  platform: Platform,
) => Promise<ImageConfig | undefined>

export interface CheckedDockerfile {
  /** By line, then by what they say. */
  readonly findings: readonly CheckFinding[]
  /** What a build of the file stops with. */
  readonly error: KauriError | undefined
  /** Findings and the error, as people read them. */
  readonly diagnostics: readonly Diagnostic[]
}

/** Value of the build argument that takes the place of `# check=…`. */
const checksArgument = 'BUILDKIT_DOCKERFILE_CHECK'

/** Reads and checks one file; nothing but a broken program makes it throw. */
export async function checkDockerfile(
  source: CheckedText,
  options: CheckOptions,
): Promise<CheckedDockerfile> {
  let linter = createLinter()
  let dockerfile: ParsedDockerfile | undefined
  let error: KauriError | undefined
  const unknownLines = new Set<number>()
  try {
    linter = createLinter({ text: source.text, checks: options.buildArgs?.get(checksArgument) })
    dockerfile = readDockerfile(source.text, source.file, linter)
    const resolver = localResolver(options.findImage, unknownLines)
    await lowerForCheck(dockerfile, lowerOptions(options, linter), resolver)
  } catch (caught) {
    if (!(caught instanceof KauriError)) throw caught
    error = caught
  }
  const findings = linter.findings.toSorted(
    (a, b) => a.startLine - b.startLine || compareText(a.detail, b.detail),
  )
  const imageAt = unknownBases(dockerfile?.stages ?? [], unknownLines)
  const diagnostics = checkDiagnostics(findings, source, linter.isError).map((diagnostic, index) =>
    withDoubt(diagnostic, findings[index], imageAt),
  )
  if (error !== undefined && !linter.isRefusal(error))
    diagnostics.push(errorDiagnostic(error, source))
  return { findings, error, diagnostics }
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

const contextName = 'context'

function lowerOptions(
  { platform, ignore, buildArgs = new Map(), target }: CheckOptions,
  linter: Linter,
): Parameters<typeof lowerForCheck>[1] {
  return {
    target,
    buildArgs,
    platform,
    buildPlatform: platform,
    mainContext: contextName,
    contexts: { [contextName]: { directory: '.', ...(ignore === undefined ? {} : { ignore }) } },
    namedContexts: new Map(),
    labels: new Map(),
    network: 'none',
    allow: new Set(['network.host', 'security.insecure']),
    linter,
  }
}

/**
 * An image that is not here is taken to be of the platform that was asked for, with nothing in its configuration.
 * @param unknownLines gets the lines of FROM instructions that name such images
 */
function localResolver(
  findImage: FindLocalImage | undefined,
  unknownLines: Set<number>,
): ImageResolver {
  return {
    findImage: async (reference, platform, where) => {
      const known = await findImage?.(reference, platform)
      if (known === undefined) unknownLines.add(where.line)
      const config: ImageConfig = known ?? {
        ...platform,
        rootfs: { type: 'layers', diff_ids: [] },
      }
      return { reference, manifest: noDigest, config }
    },
  }
}

/** Nothing is built, so nobody reads the image's layers. */
const noDigest = parseDigest(`sha256:${'0'.repeat(64)}`)

/** A variable that the base image may set is no more than a note, unless it looks like a slip. */
function withDoubt(
  diagnostic: Diagnostic,
  finding: CheckFinding | undefined,
  imageAt: (line: number) => string | undefined,
): Diagnostic {
  if (finding?.rule !== 'UndefinedVar' || finding.detail.includes('did you mean')) return diagnostic
  const image = imageAt(finding.startLine)
  if (image === undefined || diagnostic.severity === 'error') return diagnostic
  return { ...diagnostic, severity: 'note', hint: `fine where the image ${image} sets it` }
}

/** Finds the unknown image that the stage around a line starts from, through other stages. */
function unknownBases(
  stages: readonly DockerfileStage[],
  unknownLines: ReadonlySet<number>,
): (line: number) => string | undefined {
  // An image is asked for once, whatever number of stages start from it.
  const unknown = new Set(
    stages.filter(({ startLine }) => unknownLines.has(startLine)).map(({ baseName }) => baseName),
  )
  const baseOfStage = new Map<string, string | undefined>()
  const bases = stages.map(({ name, baseName }) => {
    const base = baseName.toLowerCase()
    const image = unknown.has(baseName) ? baseName : undefined
    const found = baseOfStage.has(base) ? baseOfStage.get(base) : image
    if (name !== '') baseOfStage.set(name, found)
    return found
  })
  return line => {
    let low = 0
    for (let high = stages.length; low < high; ) {
      const middle = (low + high) >>> 1
      if ((stages[middle]?.startLine ?? 0) <= line) low = middle + 1
      else high = middle
    }
    return bases[low - 1]
  }
}
