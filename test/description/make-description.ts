// Descriptions made on the spot: a small valid one with parts replaced, in a directory that is removed with the test.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { ExecutionContext } from 'ava'
import { type Diagnostic, KauriError } from '../../src/core/errors.ts'
import { checkDescription } from '../../src/description/check-description.ts'
import type { Description } from '../../src/description/description.ts'
import { readDescription } from '../../src/description/read-description.ts'

export interface Parts {
  readonly schemaVersion?: string
  /** Attributes and children of <image> around the standard ones. */
  readonly imageAttributes?: string
  readonly preferences?: string
  readonly type?: string
  readonly repository?: string
  readonly packages?: string
  /** More sections. */
  readonly rest?: string
}

/** A description of 9 lines or more; `rest` begins in line 8. */
export function descriptionText(parts: Parts = {}): string {
  const {
    schemaVersion = '7.5',
    imageAttributes = '',
    type = '<type image="docker"/>',
    preferences = '<version>1.0.0</version><packagemanager>apt</packagemanager>',
    repository = '<repository><source path="http://example.org/debian"/></repository>',
    packages = '<packages type="bootstrap"><package name="apt"/></packages>',
    rest = '',
  } = parts
  return [
    '<?xml version="1.0" encoding="utf-8"?>',
    `<image schemaversion="${schemaVersion}" name="test"${imageAttributes}>`,
    '<description type="system"><author>A</author><contact>a@example.org</contact><specification>S</specification></description>',
    '<preferences>',
    `${preferences}${type}`,
    '</preferences>',
    `${repository}${packages}`,
    rest,
    '</image>',
    '',
  ].join('\n')
}

/** A directory with these files; names ending in a slash are directories. */
export function makeDirectory(
  t: ExecutionContext,
  files: Readonly<Record<string, string | Uint8Array>>,
  modes: Readonly<Record<string, number>> = {},
): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-description-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    const target = path.join(directory, name)
    mkdirSync(name.endsWith('/') ? target : path.dirname(target), { recursive: true })
    if (!name.endsWith('/')) writeFileSync(target, content, { mode: modes[name] ?? 0o644 })
  }
  return directory
}

/** Every finding about a text, as `line:column rule`. */
export async function findingsOf(
  t: ExecutionContext,
  text: string,
  files: Readonly<Record<string, string>> = {},
): Promise<readonly Diagnostic[]> {
  return await checkDescription(makeDirectory(t, { 'config.xml': text, ...files }))
}

/** `line:column rule`, for comparing. */
export function briefly(findings: readonly Diagnostic[]): string[] {
  return findings.map(({ where, rule }) => `${where.line}:${where.column} ${rule}`)
}

/** The description that a text is. */
export async function readText(
  t: ExecutionContext,
  text: string,
  files: Readonly<Record<string, string>> = {},
): Promise<Description> {
  return await readDescription(makeDirectory(t, { 'config.xml': text, ...files }))
}

/** The error of a failing call; fails the test where there is none. */
export function kauriErrorOf(t: ExecutionContext, work: () => unknown): KauriError {
  const error = t.throws(work, { instanceOf: KauriError })
  if (!(error instanceof KauriError)) throw new Error('no KauriError')
  return error
}
