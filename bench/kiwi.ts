// kiwi-ng on the same base image as descriptions/debian-bookworm, in the words of KIWI 9: no obsrepositories:/ outside of
// a build service, so the host's own mirror is written out.

import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Bench } from './context.ts'
import { findProgram, runCommand } from './measure.ts'

const measured = new WeakMap<Bench, Map<boolean, Promise<number>>>()

/** Seconds of one build; measured once in a bench: it takes minutes, and differences of seconds do not matter beside them. */
export async function kiwiSeconds(bench: Bench, compress: boolean): Promise<number | undefined> {
  if (findProgram('kiwi-ng') === undefined) {
    bench.say('   skipped: kiwi-ng is not installed')
    return undefined
  }
  const known = measured.get(bench) ?? new Map<boolean, Promise<number>>()
  measured.set(bench, known)
  const seconds = known.get(compress) ?? buildWithKiwi(bench, compress)
  known.set(compress, seconds)
  return await seconds
}

async function buildWithKiwi(bench: Bench, compress: boolean): Promise<number> {
  const description = await bench.directory('kiwi')
  await writeKiwiDescription(description, { compress })
  const config = ['--config', path.join(description, 'kiwi.yml')]
  const target = ['--target-dir', await bench.directory('kiwi-target')]
  const argv = ['kiwi-ng', ...config, 'system', 'build', '--description', description, ...target]
  return (await runCommand({ argv, env: {} }, bench.signal)).seconds
}

/** Writes config.xml, and kiwi.yml with the outer compression on or off. */
async function writeKiwiDescription(
  directory: string,
  { compress }: { readonly compress: boolean },
): Promise<void> {
  const config = `<?xml version="1.0" encoding="utf-8"?>
<image schemaversion="7.5" name="debian-bookworm">
  <description type="system">
    <author>bench</author><contact>bench@example.org</contact><specification>Debian base</specification>
  </description>
  <preferences>
    <version>1.0.0</version>
    <packagemanager>apt</packagemanager>
    <type image="docker"><containerconfig name="bench" tag="1"/></type>
  </preferences>
  <repository type="apt-deb" alias="main" distribution="bookworm" components="main" repository_gpgcheck="false">
    <source path="${await hostMirror()}"/>
  </repository>
  <packages type="image"><package name="ca-certificates"/></packages>
  <packages type="bootstrap"><package name="apt"/></packages>
</image>
`
  await writeFile(path.join(directory, 'config.xml'), config)
  await writeFile(
    path.join(directory, 'kiwi.yml'),
    `container:\n  - compress: ${compress ? 'true' : 'false'}\n`,
  )
}

/** The first mirror that the host's own apt uses. */
async function hostMirror(): Promise<string> {
  const directory = '/etc/apt/sources.list.d'
  const files = (await readdir(directory)).map(name => path.join(directory, name))
  for (const file of ['/etc/apt/sources.list', ...files]) {
    const text = await readFile(file, 'utf8').catch(() => '')
    const found = /^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(https?:\S+)/m.exec(text)
    if (found?.[1] !== undefined && /\.(?:list|sources)$/.test(file)) return found[1]
  }
  throw new Error('the host has no http repository in its apt sources')
}
