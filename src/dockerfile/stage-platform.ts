// Platforms as FROM --platform takes them, read and refused with containerd's words.

import { type Platform, platformOfMachine } from '../oci/platform.ts'
import { quoteGo } from './go-values.ts'
import { refused } from './instruction-flags.ts'

const systemForm = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/
const systemFormText = '^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.%-]*)((?:\\+[A-Za-z0-9_.%-]+)*)\\))?$'
const componentForm = /^[A-Za-z0-9_.-]+$/
const invalid = 'invalid argument'

const systems = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
)
const architectures = new Set(
  '386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm'.split(
    ' ',
  ),
)

/**
 * Reads `OS`, `ARCHITECTURE` or `OS[(VERSION)]/ARCHITECTURE[/VARIANT]`.
 * @param own the platform whose half is taken where only one word is given
 * @throws DESCRIPTION_INVALID
 */
export function parseStagePlatform(text: string, own: Platform): Platform {
  if (text.includes('*')) throw refused(`${quoteGo(text)}: wildcards not yet supported: ${invalid}`)
  const parts = text.split('/')
  const [first = '', architecture, variant = ''] = parts
  const system = systemForm.exec(first)
  if (system === null)
    throw refused(
      `${quoteGo(first)} is an invalid OS component of ${quoteGo(text)}: OSAndVersion specifier component must match ${quoteGo(systemFormText)}: ${invalid}`,
    )
  for (const part of parts.slice(1))
    if (!componentForm.test(part))
      throw refused(
        `${quoteGo(part)} is an invalid component of ${quoteGo(text)}: platform specifier component must match "^[A-Za-z0-9_.-]+$": ${invalid}`,
      )
  if (parts.length > 3)
    throw refused(`${quoteGo(text)}: cannot parse platform specifier: ${invalid}`)
  const os = systemName(system[1] ?? '')
  const version = system[2] ? { 'os.version': system[2] } : {}
  if (architecture === undefined) return { ...oneWord(text, os, own), ...version }
  return { os, ...normalArchitecture(architecture, variant), ...version }
}

/** The platform with the variants left out that everybody means: `arm64/v8`, `amd64/v1`. */
export function normalPlatform(platform: Platform): Platform {
  const { variant = '', architecture, ...rest } = platform
  return { ...rest, ...normalArchitecture(architecture, variant) }
}

function systemName(word: string): string {
  const name = word.toLowerCase()
  return name === 'macos' ? 'darwin' : name
}

function oneWord(text: string, os: string, own: Platform): Platform {
  if (systems.has(os)) return { ...own, os }
  const known = normalArchitecture(text, '')
  if (!architectures.has(known.architecture))
    throw refused(`${quoteGo(text)}: unknown operating system or architecture: ${invalid}`)
  return { os: own.os, ...known }
}

type Architecture = Pick<Platform, 'architecture' | 'variant'>

/** One name for each architecture; the variants that everybody means are left out. */
function normalArchitecture(word: string, variantWord: string): Architecture {
  const name = word.toLowerCase()
  const variant = variantWord.toLowerCase()
  if (name === 'armhf') return { architecture: 'arm', variant: 'v7' }
  if (name === 'armel') return { architecture: 'arm', variant: 'v6' }
  if (name === 'i386') return { architecture: '386' }
  const architecture = name === 'x86-64' ? 'amd64' : platformOfMachine(name).architecture
  const normal = normalVariant(architecture, variant)
  return normal === '' ? { architecture } : { architecture, variant: normal }
}

function normalVariant(architecture: string, variant: string): string {
  if (architecture === 'amd64') return variant === 'v1' ? '' : variant
  if (architecture === 'arm64') {
    if (/^v?8$|^v8\.0$/.test(variant)) return ''
    return /^v?9(?:\.0)?$/.test(variant) ? 'v9' : variant
  }
  if (architecture !== 'arm') return variant
  if (variant === '' || variant === '7') return 'v7'
  return /^[568]$/.test(variant) ? `v${variant}` : variant
}
