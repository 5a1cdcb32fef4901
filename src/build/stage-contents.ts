// Digests of what steps read from the roots of other stages. Each is kept as a memo beside the name of the root it was
// learnt from, so that a build with nothing changed opens no root. A memo may outlive its root; where that is made again,
// what was taken from memos is compared with it, and a plan that was keyed with something else starts over.

import { utimes } from 'node:fs/promises'
import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../core/atomic-file.ts'
import { canonicalJson, type Json } from '../core/canonical-json.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { type Digest, digestOf, hexOf, isDigest, parseDigest } from '../oci/digest.ts'
import type { OpenTree, Snapshot } from '../rootfs/rootfs.ts'
import type { CacheImports } from './cache-imports.ts'
import type { StageRun } from './stage-run.ts'

/** What is asked of a root. */
export interface ContentQuestion {
  /** Says everything that changes what `compute` returns. */
  readonly selector: Json
  readonly compute: (tree: OpenTree) => Promise<Digest>
}

export interface StageContents {
  /** The answer, from a memo where there is one. */
  digest(run: StageRun, question: ContentQuestion): Promise<Digest>
  /** Looks whether the answers that were given without the root hold for it. @throws OutdatedKeysError where not */
  check(run: StageRun, root: Snapshot | undefined): Promise<void>
  /** Every answer so far, sorted by name. */
  known(): readonly KnownContent[]
}

export interface ContentTools {
  readonly reach: (run: StageRun) => Promise<Snapshot | undefined>
  readonly isReached: (run: StageRun) => boolean
  readonly open: (root: Snapshot | undefined) => OpenTree
  readonly imports?: CacheImports | undefined
}

/** A digest and the name that it is kept under. */
export interface KnownContent {
  readonly name: string
  readonly digest: Digest
}

/** Some keys of the plan were learnt from what is not there any more; learning them again gives the right ones. */
class OutdatedKeysError extends Error {
  override readonly name = 'OutdatedKeysError'
}

/** Memos below `<dataRoot>/cache/stage-contents`. */
export function stageContents(dataRoot: string, tools: ContentTools): StageContents {
  const believed = new Map<
    StageRun,
    { readonly question: ContentQuestion; readonly digest: Digest }[]
  >()
  const known = new Map<string, Digest>()
  const nameOf = (root: Digest, { selector }: ContentQuestion): string =>
    hexOf(digestOf(canonicalJson({ root, selector })))
  const fileOf = (name: string): string => path.join(dataRoot, 'cache', 'stage-contents', name)

  async function learn(
    run: StageRun,
    question: ContentQuestion,
    root: Snapshot | undefined,
  ): Promise<Digest> {
    using tree = tools.open(root)
    const digest = await question.compute(tree)
    const name = nameOf(await run.learnKeys(), question)
    const result = (await run.rootResult()) ?? ''
    await writeCacheRecord(fileOf(name), `${digest} ${result}\n`, 0o600)
    known.set(name, digest)
    return digest
  }

  /** A memo about another result than the one that is there does not count. */
  async function remembered(run: StageRun, name: string): Promise<Digest | undefined> {
    const memo = parseMemo(await readTextIfThere(fileOf(name)))
    const result = await run.rootResult()
    if (memo !== undefined && (result === undefined || result === memo.result)) {
      await markUsed(fileOf(name))
      return memo.digest
    }
    const imported = result === undefined ? tools.imports?.findContent(name) : undefined
    // Kept like a memo whose root went: it counts until that is made.
    if (imported !== undefined) await writeCacheRecord(fileOf(name), `${imported} \n`, 0o600)
    return imported
  }

  return {
    async digest(run, question) {
      if (!run.usesCache) return await learn(run, question, await tools.reach(run))
      if (tools.isReached(run)) {
        const root = await tools.reach(run)
        if (run.hasWorked()) return await learn(run, question, root)
      }
      const name = nameOf(await run.learnKeys(), question)
      const digest = await remembered(run, name)
      if (digest === undefined) return await learn(run, question, await tools.reach(run))
      believed.set(run, [...(believed.get(run) ?? []), { question, digest }])
      known.set(name, digest)
      return digest
    },
    async check(run, root) {
      if (!run.hasWorked()) return
      for (const { question, digest } of believed.get(run) ?? [])
        if ((await learn(run, question, root)) !== digest)
          throw new OutdatedKeysError(`the root of ${run.stage.id} was made with other contents`)
    },
    known: () =>
      [...known]
        .map(([name, digest]) => ({ name, digest }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  }
}

/** So that garbage collection keeps it. */
async function markUsed(file: string): Promise<void> {
  const now = new Date()
  try {
    await utimes(file, now, now)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error
  }
}

function parseMemo(
  text: string | undefined,
): { readonly digest: Digest; readonly result: string | undefined } | undefined {
  const [digest = '', result] = text?.trim().split(' ') ?? []
  return isDigest(digest) ? { digest: parseDigest(digest), result } : undefined
}

/** Does the work again where its keys turned out to be outdated; results that are right are found then. */
export async function withCurrentKeys<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof OutdatedKeysError)) throw error
      if (attempt === mostAttempts)
        throw new KauriError(
          'PROCESS_FAILED',
          `the cache changes while it is read: ${error.message}`,
          {
            hint: 'run the command again',
            cause: error,
          },
        )
    }
  }
}

const mostAttempts = 5
