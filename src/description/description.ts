// A KIWI description after reading: typed, merged, with the position of everything a message may point to.

import type { SourcePosition } from '../core/errors.ts'

/** A value and where the user wrote it. */
export interface Located<T> {
  readonly value: T
  readonly where: SourcePosition
}

export type ImageTypeName = 'docker' | 'oci' | 'tbz'

export interface Description {
  readonly file: string
  readonly directory: string
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
}

/** Selects a section: empty profiles or architectures mean always. */
export interface Selector {
  readonly profiles: readonly string[]
  readonly architectures: readonly string[]
}

export interface Profile {
  readonly name: Located<string>
  readonly description: string
  readonly isDefault: boolean
  readonly requires: readonly Located<string>[]
  readonly architectures: readonly string[]
}

export interface Preferences {
  readonly selector: Selector
  readonly where: SourcePosition
  readonly version?: Located<string>
  readonly packageManager?: Located<string>
  readonly locale?: Located<string>
  readonly keytable?: Located<string>
  readonly timezone?: Located<string>
  readonly releaseVersion?: Located<string>
  readonly checkSignatures?: boolean
  readonly excludeDocs?: boolean
  readonly types: readonly ImageType[]
}

export interface ImageType {
  readonly image: ImageTypeName
  readonly primary: boolean
  readonly where: SourcePosition
  readonly containerConfig?: ContainerConfig
  /** Every attribute as written. */
  readonly attributes: Readonly<Record<string, Located<string>>>
}

export interface ContainerConfig {
  readonly name: Located<string>
  readonly tag?: Located<string>
  readonly additionalNames: readonly Located<string>[]
  readonly maintainer?: string
  readonly user?: string
  readonly workingDirectory?: string
  /** `clear` gives an empty list. */
  readonly entrypoint?: readonly string[]
  readonly subcommand?: readonly string[]
  readonly exposedPorts: readonly Located<string>[]
  readonly volumes: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly stopSignal?: string
  readonly history?: {
    readonly createdBy?: string
    readonly author?: string
    readonly comment?: string
  }
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
  readonly type: string
  readonly selector: Selector
  readonly where: SourcePosition
  readonly recommended: boolean
  readonly packages: readonly Selected<PackageName>[]
  readonly ignored: readonly Selected<PackageName>[]
  readonly archives: readonly ArchiveEntry[]
  readonly files: readonly FileEntry[]
}

export interface PackageName {
  readonly name: Located<string>
}

export type Selected<T> = T & { readonly architectures: readonly string[] }

export interface ArchiveEntry {
  readonly name: Located<string>
  readonly targetDirectory?: string
  readonly bootInclude: boolean
}

export interface FileEntry {
  readonly name: Located<string>
  readonly target?: string
  readonly owner?: string
  readonly permissions?: string
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
  readonly groups: readonly { readonly name: string; readonly id?: number }[]
}
