// Every rule that a description is checked against: its stable name, how grave a finding is, and what it means.

import type { Diagnostic } from '../core/errors.ts'

const errors = {
  'file-unreadable': 'The description is not a regular file, or far larger than any real one.',
  'xml-encoding':
    'The file is not text in an encoding that can be read. Descriptions are UTF-8; US-ASCII, ISO-8859-1 and UTF-16 with a byte order mark are read too.',
  'xml-character': 'XML allows no control characters other than tab and line breaks.',
  'xml-syntax':
    'The file is not well-formed XML: a tag, an attribute, a comment or a section is not written as XML wants it. Nothing after this place was checked.',
  'xml-doctype':
    'A document type declaration is refused: it could name other files or expand to gigabytes, and descriptions need none.',
  'xml-entity':
    'Only &lt; &gt; &amp; &quot; &apos; and character references such as &#233; stand for something in a description.',
  'xml-limit': 'The file has more elements, attributes or levels than any real description.',
  'schema-version':
    'The attribute schemaversion of <image> says which edition of the KIWI schema the description was written for. It is what decides which old spellings are understood.',
  'include-invalid':
    'An <include> names a file beside the description (file://, this:// or a path) whose root element is <image>; its children take the place of the <include>. A file cannot include itself, directly or through others.',
  'element-unknown': 'The KIWI schema has no element of this name.',
  'element-misplaced': 'The element exists, but not at this place.',
  'element-missing': 'The element needs a child that is not there.',
  'element-repeated': 'The element may appear only once at this place.',
  'text-misplaced': 'The element holds other elements only; this text would be lost.',
  'attribute-unknown': 'The element has no attribute of this name.',
  'attribute-missing': 'The element needs this attribute.',
  'attribute-misplaced':
    'The attribute exists, but has no meaning for an image type or element of this kind.',
  'value-invalid': 'The value does not have the form or is not one of the words that are allowed.',
  'profile-undefined':
    'A section or a <requires> refers to a profile that <profiles> does not define, so it could never be selected.',
  'profile-repeated': 'Two profiles have the same name.',
  'profile-cycle': 'Profiles require each other in a circle.',
  'type-missing': 'No <preferences> section holds a <type>, so there is nothing to build.',
  'type-repeated':
    'Two <type> elements for the same image type are selected together, so it is not clear which one is meant.',
  'version-missing':
    'The image version is part of the name of every result: one <preferences> needs <version>.',
  'version-form':
    'The image version becomes part of file names: letters, digits and ". _ + ~ -" only.',
  'package-manager-cannot': 'The package manager of the description has no notion of this.',
  'file-missing': 'A file that the description names does not exist beside it.',
  'script-line-endings':
    'The script has Windows line endings (CRLF), which no shell takes: the kernel looks for an interpreter whose name ends in a carriage return.',
  'image-name':
    'Names of container images are lower-case letters and digits, with ".", "_", "-" and "/" between them.',
  'image-tag':
    'A tag has up to 128 letters, digits, "_", "." and "-", and does not start with "." or "-".',
  'port-invalid': 'A port is a number from 1 to 65535, alone or followed by /tcp, /udp or /sctp.',
  'environment-name': 'The name of an environment variable is empty or holds "=" .',
  'path-relative': 'A path inside the image starts with "/".',
  'password-form':
    'With pwdformat="encrypted", which is the default, the password is a crypt hash such as $6$…; with pwdformat="plain" it is the password itself.',
  'user-repeated': 'Two users that can be selected together have the same name.',
} as const

const warnings = {
  'file-outside':
    'Files of a description are beside it or below its directory; what lies elsewhere on the build machine is out of its reach. A build that selects the file fails.',
  'package-manager-missing': 'No <preferences> names a <packagemanager>; KIWI would take dnf4.',
  'entry-repeated': 'Two entries of a list have the same name; the later one holds.',
  'not-supported':
    'The description is valid, but kauri cannot do what it asks for here. A build that selects it fails with this message; others are not affected.',
  'without-effect': 'The setting is understood but changes nothing in this description.',
  'version-unusual': 'KIWI versions are three numbers: MAJOR.MINOR.RELEASE, such as 1.0.0.',
  'password-weak': 'The hash method of this password is broken or obsolete.',
  'signatures-off':
    'Nobody checks whether the packages of this repository are what its owner signed; whoever sits on the way can replace them.',
} as const

const notes = {
  'signatures-checked':
    'rpm-check-signatures="false" is about the signatures of rpm packages. The indexes of apt repositories are checked all the same, and through them every package; repository_gpgcheck="false" on a <repository> switches that off.',
  'schema-upgrade':
    'The description was written for an older schema version. It was read as if it had the newer spelling; change it to stop this note.',
} as const

/** The stable name of a rule. */
export type RuleName = keyof typeof errors | keyof typeof warnings | keyof typeof notes

const explanations: Readonly<Record<RuleName, string>> = { ...errors, ...warnings, ...notes }

/** How grave a finding of a rule is. */
export function severityOf(rule: RuleName): Diagnostic['severity'] {
  if (Object.hasOwn(errors, rule)) return 'error'
  return Object.hasOwn(warnings, rule) ? 'warning' : 'note'
}

/** What a rule is about, or undefined where there is none of that name. */
export function explainRule(
  name: string,
): { name: RuleName; severity: string; explanation: string } | undefined {
  if (!isRuleName(name)) return undefined
  return { name, severity: severityOf(name), explanation: explanations[name] }
}

/** Every rule name, errors first. */
export function ruleNames(): readonly RuleName[] {
  return Object.keys(explanations).filter(isRuleName)
}

function isRuleName(name: string): name is RuleName {
  return Object.hasOwn(explanations, name)
}
