// Forms of values that attributes and texts of a description have.

import type { ValueType } from './rule.ts'

/** Anything, also nothing. */
export const anyText: ValueType = { says: 'text', accepts: () => true }

/** Anything but nothing. */
export const someText: ValueType = { says: 'a text', accepts: text => text.trim() !== '' }

/** A boolean as XML Schema has it: 1 and 0 are true and false, too. */
export const flag: ValueType = {
  says: 'true or false',
  words: ['true', 'false'],
  accepts: text => ['true', 'false', '1', '0'].includes(text),
}

/** What a flag says. */
export function isTrue(text: string): boolean {
  return text === 'true' || text === '1'
}

export const wholeNumber: ValueType = form(/^[0-9]{1,15}$/, 'a whole number')

export const integer: ValueType = form(/^-?[0-9]{1,15}$/, 'a number')

/** One of some words. */
export function oneOf(what: string, ...words: readonly string[]): ValueType {
  return { says: what, words, accepts: text => words.includes(text) }
}

/** Text of a form. */
export function form(pattern: RegExp, says: string): ValueType {
  return { says, accepts: text => pattern.test(text) }
}

/** Words with commas between them, each of a type. */
export function listOf(type: ValueType, says: string): ValueType {
  return {
    says,
    ...(type.words === undefined ? {} : { words: type.words }),
    accepts: text => text.split(',').every(part => type.accepts(part.trim())),
  }
}

/** Machine names as `uname -m` and KIWI's selectors have them. */
export const architecture: ValueType = oneOf(
  'an architecture',
  'x86_64',
  'i586',
  'i686',
  'ix86',
  'aarch64',
  'arm64',
  'amd64',
  'armv5el',
  'armv5tel',
  'armv6hl',
  'armv6l',
  'armv7hl',
  'armv7l',
  'ppc',
  'ppc64',
  'ppc64le',
  's390',
  's390x',
  'riscv64',
)

export const architectures: ValueType = listOf(architecture, 'a list of architectures')

export const profileList: ValueType = listOf(someText, 'a list of profiles')

export const imageName: ValueType = form(
  /^[A-Za-z0-9_.-]+$/,
  'an image name (letters, digits, "_", "." and "-")',
)

export const imageTypeNames = [
  'btrfs',
  'cpio',
  'docker',
  'ext2',
  'ext3',
  'ext4',
  'iso',
  'oem',
  'pxe',
  'kis',
  'squashfs',
  'erofs',
  'tbz',
  'xfs',
  'oci',
  'appx',
  'enclave',
  'wsl',
] as const

export const imageType: ValueType = oneOf('an image type', ...imageTypeNames)

export const packageManager: ValueType = oneOf(
  'a package manager',
  'apk',
  'apt',
  'zypper',
  'dnf4',
  'dnf5',
  'microdnf',
  'pacman',
)

/** `C`, `POSIX` or `xx_YY`, several with commas. */
export const locales: ValueType = listOf(
  form(/^(?:C|POSIX|[a-z]{2,3}_[A-Z]{2})$/, 'a locale'),
  'a list of locales such as en_US,de_DE',
)

const octalForm = /^[0-7]{3,4}$/

/** What chmod takes: octal digits, or words such as u+x. */
export const permissions: ValueType = {
  says: 'permission bits in octal, such as 644',
  accepts: text =>
    octalForm.test(text) || /^[ugoa]*[-+=][rwxXst]*(?:,[ugoa]*[-+=][rwxXst]*)*$/.test(text),
}

/** Says that permissions are not written in digits. */
export function onlyOctal(text: string): string | undefined {
  return octalForm.test(text)
    ? undefined
    : `permissions in words (${text}) are not supported; write octal digits`
}
