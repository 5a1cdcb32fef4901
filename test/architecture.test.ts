import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'

/** Each folder of src/ and the folders it may import; docs/architecture.md shows the same arrows. */
const mayImport: Record<string, readonly string[]> = {
  core: [],
  oci: ['core'],
  plan: ['core', 'oci'],
  description: ['core', 'oci', 'plan'],
  dockerfile: ['core', 'oci', 'plan'],
  native: ['core'],
  store: ['core', 'oci', 'native'],
  layer: ['core', 'oci', 'native'],
  image: ['core', 'oci', 'layer', 'store'],
  registry: ['core', 'oci', 'store', 'image'],
  runtime: ['core', 'oci', 'native'],
  network: ['core', 'native', 'runtime'],
  'oci-runtime': ['core', 'oci', 'native', 'runtime'],
  rootfs: ['core', 'oci', 'plan', 'native', 'layer', 'runtime'],
  container: ['core', 'oci', 'native', 'store', 'layer', 'image', 'runtime', 'network', 'rootfs'],
  build: [
    'core',
    'oci',
    'plan',
    'native',
    'store',
    'layer',
    'image',
    'registry',
    'runtime',
    'network',
    'rootfs',
  ],
  cli: [
    'core',
    'oci',
    'plan',
    'description',
    'dockerfile',
    'native',
    'store',
    'layer',
    'image',
    'registry',
    'oci-runtime',
    'runtime',
    'network',
    'rootfs',
    'container',
    'build',
  ],
}

const importSpecifier =
  /^(?:import|export)\b[^'"]*?from\s*'([^']+)'|\bimport\(\s*'([^']+)'\)|^import\s+'([^']+)'/gm

function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(importSpecifier)].map(
    ([, a, b, c]) => a ?? b ?? c ?? '',
  )
}

function forbiddenImports(file: string): string[] {
  const folder = file.split('/')[1] ?? ''
  const allowed = mayImport[folder]
  if (allowed === undefined) return [`src/${folder}/ is missing from mayImport`]
  const found: string[] = []
  for (const specifier of importsOf(file)) {
    if (!specifier.startsWith('.')) continue
    const target = path.posix.join(path.posix.dirname(file), specifier).split('/')[1] ?? ''
    if (target !== folder && !allowed.includes(target))
      found.push(`${file} must not import ${target}/ (${specifier})`)
  }
  return found
}

test('every import follows the arrows of the architecture', t => {
  t.deepEqual(globSync('src/*/**/*.ts').flatMap(forbiddenImports), [])
})

test('only native/ loads the addon', t => {
  const loaders = globSync('src/*/**/*.ts').filter(
    file =>
      !file.startsWith('src/native/') && /process\.dlopen|\.node'/.test(readFileSync(file, 'utf8')),
  )
  t.deepEqual(loaders, [])
})

test('only cli/ writes to the console', t => {
  const writers = globSync('src/*/**/*.ts').filter(
    file =>
      !file.startsWith('src/cli/') &&
      /\bconsole\.|process\.std(?:out|err)\.write/.test(readFileSync(file, 'utf8')),
  )
  t.deepEqual(writers, [])
})

test('every file of src/ stays below 400 lines', t => {
  const long = globSync('src/**/*.{ts,c,h}').filter(
    file => readFileSync(file, 'utf8').split('\n').length > 401,
  )
  t.deepEqual(long, [])
})

test('docs/architecture.md shows the same table', t => {
  const rows = readFileSync('docs/architecture.md', 'utf8').matchAll(
    /^\| `([\w-]+)\/` \| [^|]+ \| ([a-z –-]+) \|$/gm,
  )
  const shown = Object.fromEntries(
    [...rows].map(([, folder, imports = '']) => [
      folder,
      imports === '–' ? [] : imports.split(' '),
    ]),
  )
  t.deepEqual(shown, mayImport)
})

/** Packages from outside, and the only folder that may use each. */
const packageFolders: Record<string, string> = {
  bcryptjs: 'registry',
  'fast-xml-parser': 'description',
  listr2: 'cli',
  'smol-toml': 'registry',
  'tar-stream': 'image',
  undici: 'registry',
  'zstd-codec': 'layer',
}

test('packages are used by one folder each, and none but these', t => {
  const wrong = globSync('src/*/**/*.ts').flatMap(file =>
    importsOf(file)
      .filter(specifier => !/^(?:\.|node:)/.test(specifier))
      .filter(specifier => packageFolders[specifier.split('/')[0] ?? ''] !== file.split('/')[1])
      .map(specifier => `${file} must not import ${specifier}`),
  )
  t.deepEqual(wrong, [])
})

test('no file has a dynamic import of a builtin, which the bundle cannot take apart', t => {
  const importers = globSync('src/**/*.ts').filter(file =>
    /\bimport\(\s*'node:/.test(readFileSync(file, 'utf8')),
  )
  t.deepEqual(importers, [])
})
