// A KIWI description after reading: typed, with the position of everything a message may point to. It holds all sections
// as written; select-description.ts makes of it what one build takes.

import type { Diagnostic, SourcePosition } from '../core/errors.ts'

/** A value and where the user wrote it. */
export interface Located<T> {
  readonly value: T
  readonly where: SourcePosition
}

/** The image types that kauri builds. */
export type ImageTypeName = 'docker' | 'oci' | 'tbz'

export interface Description {
  /** As messages name it: the directory and the file in it. */
  readonly file: string
  /** Absolute path of the directory that the description's other files are in. */
  readonly directory: string
  /** The description's own file, relative to the directory. */
  readonly fileName: string
  /** As written; everything below is in the newest version's words. */
  readonly schemaVersion: string
  readonly name: Located<string>
  readonly displayName?: string
  readonly imageId?: string
  readonly author: string
  readonly contact: string
  readonly specification: string
  readonly profiles: readonly Profile[]
  readonly preferences: readonly Preferences[]
  readonly repositories: readonly Repository[]
  readonly packages: readonly PackageSection[]
  readonly users: readonly UserSection[]
  readonly certificates: readonly CertificateSection[]
  /** <drivers> and <strip>, which only reach scripts as variables. */
  readonly fileLists: readonly FileList[]
  readonly files: DescriptionFiles
  /** Warnings and notes; errors would have kept the description from being read. */
  readonly findings: readonly Diagnostic[]
  /** What is valid but cannot be built; it fails the builds that select it. */
  readonly limits: readonly SupportLimit[]
}

/** Selects a section: empty profiles or architectures mean always. */
export interface Selector {
  readonly profiles: readonly string[]
  readonly architectures: readonly string[]
}

/** Something valid that kauri cannot do; it concerns a build that selects where it stands. */
export interface SupportLimit {
  readonly finding: Diagnostic
  /** Selectors of every element around it. */
  readonly selectors: readonly Selector[]
  /** The <type> it stands in. */
  readonly type?: SourcePosition
  /** It stands in a package section for this image type. */
  readonly imageType?: string
}

export interface Profile {
  readonly name: Located<string>
  readonly description: string
  /** Selected where no profile is asked for. */
  readonly isDefault: boolean
  readonly requires: readonly ProfileRequirement[]
  readonly architectures: readonly string[]
}

export interface ProfileRequirement {
  readonly profile: Located<string>
  readonly architectures: readonly string[]
}

export interface Preferences {
  readonly selector: Selector
  readonly where: SourcePosition
  readonly version?: Located<string>
  readonly packageManager?: Located<string>
  /** With commas where there are several; the first is the system's. */
  readonly locale?: Located<string>
  readonly keytable?: Located<string>
  readonly timezone?: Located<string>
  readonly releaseVersion?: Located<string>
  readonly checkSignatures?: Located<boolean>
  readonly excludeDocs?: Located<boolean>
  readonly filterLocales?: Located<boolean>
  readonly bootsplashTheme?: string
  readonly bootloaderTheme?: string
  readonly licenses: readonly string[]
  readonly types: readonly ImageType[]
}

export interface ImageType {
  /** Any of the schema's; only some of them can be built. */
  readonly image: Located<string>
  readonly primary: boolean
  readonly where: SourcePosition
  readonly containerConfig?: ContainerConfig
  /** Every attribute, in the newest version's words. */
  readonly attributes: Readonly<Record<string, Located<string>>>
}

export interface NamedValue {
  readonly name: Located<string>
  readonly value: string
}

export interface ContainerConfig {
  readonly where: SourcePosition
  readonly name: Located<string>
  readonly tag?: Located<string>
  /** `NAME:TAG`, `NAME` or `:TAG`, as written. */
  readonly additionalNames: readonly Located<string>[]
  readonly maintainer?: string
  readonly user?: string
  readonly workingDirectory?: Located<string>
  /** Undefined: not said; empty: cleared. */
  readonly entrypoint?: readonly string[]
  readonly subcommand?: readonly string[]
  readonly exposedPorts: readonly Located<string>[]
  readonly volumes: readonly Located<string>[]
  readonly environment: readonly NamedValue[]
  readonly labels: readonly NamedValue[]
  readonly stopSignal?: string
  readonly history?: ContainerHistory
}

export interface ContainerHistory {
  readonly createdBy?: string
  readonly author?: string
  readonly comment?: string
  readonly applicationId?: string
  readonly packageVersion?: string
  readonly launcher?: string
}

export interface Repository {
  readonly selector: Selector
  readonly where: SourcePosition
  readonly alias?: string
  readonly type?: string
  readonly source: Located<string>
  readonly keys: readonly Located<string>[]
  readonly distribution?: string
  readonly components: readonly string[]
  readonly architectures: readonly string[]
  readonly priority?: number
  readonly imageInclude: boolean
  readonly imageOnly: boolean
  readonly repositoryGpgCheck?: boolean
  readonly packageGpgCheck?: boolean
  readonly username?: string
  readonly password?: string
}

export interface PackageSection {
  /** `bootstrap`, `image`, `delete`, `uninstall`, or an image type that the section is for. */
  readonly type: Located<string>
  readonly selector: Selector
  readonly where: SourcePosition
  readonly patternType?: 'onlyRequired' | 'plusRecommended'
  readonly packages: readonly PackageItem[]
  readonly ignored: readonly PackageItem[]
  readonly collections: readonly PackageItem[]
  readonly products: readonly PackageItem[]
  readonly modules: readonly PackageItem[]
  readonly archives: readonly ArchiveEntry[]
  readonly files: readonly FileEntry[]
}

export interface PackageItem {
  readonly name: Located<string>
  readonly architectures: readonly string[]
}

export interface ArchiveEntry {
  readonly name: Located<string>
  readonly targetDirectory?: string
}

export interface FileEntry {
  readonly name: Located<string>
  readonly target?: string
  readonly owner?: string
  /** Octal digits. */
  readonly permissions?: Located<string>
  readonly architectures: readonly string[]
}

export interface UserSection {
  readonly selector: Selector
  readonly users: readonly User[]
}

export interface User {
  readonly where: SourcePosition
  readonly name: Located<string>
  readonly password: Located<string>
  readonly passwordFormat: 'plain' | 'encrypted'
  readonly id?: number
  readonly home?: string
  readonly realName?: string
  readonly shell?: string
  /** First is primary. */
  readonly groups: readonly { readonly name: string; readonly id?: number }[]
}

/** Certificate authorities that the image trusts. */
export interface CertificateSection {
  readonly selector: Selector
  readonly distribution: string
  readonly files: readonly Located<string>[]
}

export interface FileList {
  readonly kind: 'drivers' | 'delete' | 'tools' | 'libs'
  readonly selector: Selector
  readonly names: readonly string[]
}

/** The scripts that a build runs in the root, by the names KIWI gives them. */
export const hookNames = ['post_bootstrap.sh', 'config.sh', 'images.sh'] as const

export type HookName = (typeof hookNames)[number]

/** What lies beside the description and takes part by its name alone. */
export interface DescriptionFiles {
  readonly hooks: Readonly<Partial<Record<HookName, HookScript>>>
  /** The overlay tree: the directory `root`, or where that is missing the archive `root.tar.gz`. */
  readonly overlay?: 'root' | 'root.tar.gz'
  /** Profiles with an overlay directory of their own name. */
  readonly profileOverlays: readonly string[]
}

export interface HookScript {
  /** It is executable and names its interpreter; otherwise bash runs it. */
  readonly isProgram: boolean
}
