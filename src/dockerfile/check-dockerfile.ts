// Everything that can be said about a Dockerfile without building it. No image is looked up: what a base image brings
// along is not known here, and where a finding depends on it, that is said.

import { type Diagnostic, KauriError } from '../core/errors.ts'
import { parseDigest } from '../oci/digest.ts'
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
}

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
  try {
    linter = createLinter({ text: source.text, checks: options.buildArgs?.get(checksArgument) })
    dockerfile = readDockerfile(source.text, source.file, linter)
    await lowerForCheck(dockerfile, lowerOptions(options, linter), unknownImages)
  } catch (caught) {
    if (!(caught instanceof KauriError)) throw caught
    error = caught
  }
  const findings = linter.findings.toSorted(
    (a, b) => a.startLine - b.startLine || compareText(a.detail, b.detail),
  )
  const imageAt = baseImages(dockerfile?.stages ?? [])
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

/** Stands for every image: of the platform that was asked for, with nothing in its configuration. */
const unknownImages: ImageResolver = {
  findImage: async (reference, platform) => ({
    reference,
    manifest: parseDigest(`sha256:${'0'.repeat(64)}`),
    config: { ...platform, rootfs: { type: 'layers', diff_ids: [] } },
  }),
}

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

/** Finds the image that the stage around a line starts from, through other stages; undefined for scratch. */
function baseImages(stages: readonly DockerfileStage[]): (line: number) => string | undefined {
  const imageOfStage = new Map<string, string | undefined>()
  const images = stages.map(({ name, baseName }) => {
    const base = baseName.toLowerCase()
    const image = base === 'scratch' ? undefined : baseName
    const found = imageOfStage.has(base) ? imageOfStage.get(base) : image
    if (name !== '') imageOfStage.set(name, found)
    return found
  })
  return line => {
    let low = 0
    for (let high = stages.length; low < high; ) {
      const middle = (low + high) >>> 1
      if ((stages[middle]?.startLine ?? 0) <= line) low = middle + 1
      else high = middle
    }
    return images[low - 1]
  }
}
