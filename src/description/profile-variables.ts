// The kiwi_* variables that scripts see, in their environment and in the file /.profile.

import type { FileList } from './description.ts'
import type { SelectedDescription } from './select-description.ts'

/** Names and values, sorted by name; those that only disks have are there and empty, as scripts expect. */
export function profileVariables(selected: SelectedDescription): ReadonlyMap<string, string> {
  const { name, version, typeName, profiles, settings, packages, fileLists, description } = selected
  const attribute = (key: string): string => selected.type.attributes[key]?.value ?? ''
  const values: Readonly<Record<string, string>> = {
    ...Object.fromEntries(typeAttributes.map(([variable, key]) => [variable, attribute(key)])),
    ...diskDefaults,
    kiwi_delete: packages.delete.packages.map(({ value }) => value).join(' '),
    kiwi_displayname: description.displayName ?? name,
    kiwi_drivers: namesOf(fileLists, 'drivers').join(','),
    kiwi_iname: name,
    kiwi_initrd_system: attribute('initrd_system') || 'none',
    kiwi_iversion: version,
    kiwi_keytable: settings.keytable?.value ?? '',
    kiwi_language: settings.locale?.value ?? '',
    kiwi_loader_theme: settings.bootloaderTheme ?? '',
    kiwi_profiles: profiles.join(','),
    kiwi_showlicense: settings.licenses[0] ?? '',
    kiwi_splash_theme: settings.bootsplashTheme ?? '',
    kiwi_strip_delete: namesOf(fileLists, 'delete').join(' '),
    kiwi_strip_libs: namesOf(fileLists, 'libs').join(' '),
    kiwi_strip_tools: namesOf(fileLists, 'tools').join(' '),
    kiwi_timezone: settings.timezone?.value ?? '',
    kiwi_type: typeName,
  }
  return new Map(Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Variables that repeat an attribute of <type>. */
const typeAttributes: readonly (readonly [variable: string, attribute: string])[] = [
  ['kiwi_bootkernel', 'bootkernel'],
  ['kiwi_bootprofile', 'bootprofile'],
  ['kiwi_btrfs_root_is_snapshot', 'btrfs_root_is_snapper_snapshot'],
  ['kiwi_cmdline', 'kernelcmdline'],
  ['kiwi_compressed', 'compressed'],
  ['kiwi_devicepersistency', 'devicepersistency'],
  ['kiwi_firmware', 'firmware'],
  ['kiwi_fsmountoptions', 'fsmountoptions'],
  ['kiwi_gpt_hybrid_mbr', 'gpt_hybrid_mbr'],
  ['kiwi_hybridpersistent', 'hybridpersistent'],
  ['kiwi_hybridpersistent_filesystem', 'hybridpersistent_filesystem'],
  ['kiwi_installboot', 'installboot'],
  ['kiwi_ramonly', 'ramonly'],
  ['kiwi_target_blocksize', 'target_blocksize'],
  ['kiwi_target_removable', 'target_removable'],
  ['kiwi_vga', 'vga'],
  ['kiwi_wwid_wait_timeout', 'wwid_wait_timeout'],
]

/** What KIWI sets for every type, though it means nothing without a disk. */
const diskDefaults: Readonly<Record<string, string>> = {
  kiwi_align: '1048576',
  kiwi_boot_timeout: '',
  kiwi_bootloader: 'grub2',
  kiwi_bootloader_console: '',
  kiwi_luks_empty_passphrase: 'false',
  kiwi_revision: '',
  kiwi_rootpartuuid: '',
  kiwi_sectorsize: '512',
  kiwi_startsector: '2048',
}

function namesOf(lists: readonly FileList[], kind: FileList['kind']): string[] {
  return lists.filter(list => list.kind === kind).flatMap(({ names }) => names)
}

/** The text of /.profile: one assignment a line, quoted so that any shell reads back the very value. */
export function profileText(variables: ReadonlyMap<string, string>): string {
  return Array.from(variables, ([name, value]) => `${name}=${quoteForShell(value)}\n`).join('')
}

/** A word in single quotes. */
function quoteForShell(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`
}
