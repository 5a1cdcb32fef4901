// What every package manager does for a build. One implementation a file in package-managers/; all run the host's
// program for resolving and downloading, and the image's own for installing, without network.

import type { Brand } from '../core/brand.ts'
import type { Emit } from '../core/events.ts'
import type { InstallRequest, RemoveRequest } from './package-requests.ts'
import type { Rootfs } from './rootfs.ts'

/** sha256 hex over names, versions and checksums of a resolved set and the options that shape the result. */
export type ResolutionKey = Brand<string, 'ResolutionKey'>

export interface ResolvedPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** `sha256:<hex>` of the package file as the signed index names it. */
  readonly checksum: string
  readonly sizeBytes: number
  /** Where it is downloaded from; no credentials in it. */
  readonly url: string
  /** False where it came only as a dependency. */
  readonly requested: boolean
}

/** What will be installed, known before anything is downloaded. */
export interface Resolution {
  readonly packages: readonly ResolvedPackage[]
  readonly key: ResolutionKey
  /** True where the repositories' state was taken from the cache without asking. */
  readonly offline: boolean
}

/** What an installation learned about the files it put there. */
export interface InstallOutcome {
  /** Newest modification time that the packages' own archives carry, in seconds since 1970; 0 where nothing was installed. */
  readonly newestFileSeconds: number
}

/** A package as an inventory lists it. */
export interface InstalledPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
  readonly status: string
}

export interface PackageWork {
  readonly signal?: AbortSignal | undefined
  readonly emit: Emit
  /** Id of the step that progress and output belong to. */
  readonly stepId: string
  /** Answer from what was downloaded before; @throws OFFLINE where that is not enough. */
  readonly offline: boolean
}

/** Resolves, installs and removes packages of one kind. */
export interface PackageManager {
  readonly name: string
  /** @throws PREREQUISITE_MISSING where the host lacks the program, with the line that installs it */
  checkHost(): Promise<void>
  /**
   * Looks for names that no repository knows, before anything is installed; asks the repositories as resolve does.
   * A name that is there may still turn out not to be installable.
   * @throws PACKAGE_NOT_FOUND with `where` of the first package
   */
  checkRequests(requests: readonly InstallRequest[], work: PackageWork): Promise<void>
  /**
   * What installing `request` onto `root` (undefined: nothing, bootstrap) would put there. Asks the repositories once,
   * conditionally; changes nothing but the download cache.
   * @throws PACKAGE_NOT_FOUND and others with `where` of the package or repository
   */
  resolve(request: InstallRequest, root: Rootfs | undefined, work: PackageWork): Promise<Resolution>
  /** Downloads, checks and installs a resolved set. @throws PACKAGE_INSTALL_FAILED with the package's last output */
  install(
    request: InstallRequest,
    resolution: Resolution,
    root: Rootfs,
    work: PackageWork,
  ): Promise<InstallOutcome>
  remove(request: RemoveRequest, root: Rootfs, work: PackageWork): Promise<void>
  /** Removes caches, logs and everything of the package manager that differs between equal builds. */
  cleanRoot(root: Rootfs): Promise<void>
  /** Every installed package, sorted by name. */
  inventory(treePath: string): Promise<InstalledPackage[]>
}
