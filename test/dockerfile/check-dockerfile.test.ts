import { readFileSync } from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { checkDockerfile } from '../../src/dockerfile/check-dockerfile.ts'
import { dumpChecks } from '../../src/dockerfile/dump-checks.ts'
import { parseIgnoreFile } from '../../src/dockerfile/ignore-file.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

interface Warning {
  readonly RuleName: string
  readonly Line: number
  readonly Detail: string
}

interface LintCase {
  readonly test: string
  readonly dockerfile: string
  readonly dockerignore?: string
  readonly warnings: readonly Warning[] | null
  readonly unmarshalWarnings: readonly Warning[] | null
  readonly buildErr: string
  readonly streamBuildErrRegexp: string | null
  readonly buildErrLocation: number
  readonly frontendAttrs: Readonly<Record<string, string>> | null
}

const platform = { os: 'linux', architecture: 'amd64' }

testWith({ conformance: 'dockerfile/lint.json' })(
  'build checks find what the peer finds',
  async t => {
    const cases = JSON.parse(
      readFileSync(path.join(conformancePath('dockerfile'), 'lint.json'), 'utf8'),
    ) as LintCase[]
    const wrong: unknown[] = []
    for (const one of cases) {
      const prefix = 'build-arg:'
      const attributes = Object.entries(one.frontendAttrs ?? {})
      const buildArgs = new Map(
        attributes
          .filter(([name]) => name.startsWith(prefix))
          .map(([name, value]) => [name.slice(prefix.length), value]),
      )
      const got = await dumpChecks(
        { file: 'Dockerfile', text: one.dockerfile },
        { platform, buildArgs, ignore: parseIgnoreFile(one.dockerignore ?? '') },
      )
      const want = {
        warnings: sorted(one.warnings ?? []),
        unmarshalWarnings: withoutLines(one.unmarshalWarnings),
        buildErr: one.buildErr,
        // What only a build runs into has a place there, and none here.
        buildErrLocation: one.streamBuildErrRegexp === null ? one.buildErrLocation : 0,
      }
      const compared = {
        ...got,
        unmarshalWarnings: withoutLines(got['unmarshalWarnings'] as Warning[] | null),
      }
      if (!isDeepStrictEqual(compared, want))
        wrong.push({ test: one.test, text: one.dockerfile, got, want })
    }
    t.is(JSON.stringify(wrong.slice(0, 8), null, 1), '[]', `${wrong.length} differ`)
  },
)

function sorted(warnings: readonly Warning[]): Warning[] {
  return warnings.toSorted((a, b) => a.Line - b.Line || (a.Detail < b.Detail ? -1 : 1))
}

test('a base image for another machine is told, and what it sets is known', async t => {
  const text = 'FROM here AS a\nENV B=$SET\nFROM a\nENV B=$SET\nFROM there\nENV B=$SET\n'
  const { diagnostics } = await checkDockerfile(
    { file: 'Dockerfile', text },
    {
      platform,
      findImage: async reference =>
        reference.includes('here') && !reference.includes('there')
          ? {
              os: 'linux',
              architecture: 's390x',
              config: { Env: ['SET=1'] },
              rootfs: { type: 'layers', diff_ids: [] },
            }
          : undefined,
    },
  )
  t.deepEqual(
    diagnostics.map(({ severity, rule, where }) => [severity, rule, where.line]),
    [
      ['warning', 'InvalidBaseImagePlatform', 1],
      ['note', 'UndefinedVar', 6],
    ],
  )
})

/** The peer compares no lines of findings about all stages, and some of its expectations name wrong ones. */
function withoutLines(warnings: readonly Warning[] | null): object[] | null {
  return warnings === null ? null : sorted(warnings).map(warning => ({ ...warning, Line: 0 }))
}
