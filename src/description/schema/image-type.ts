// <type>: what is built. All attributes of the schema are known, so that descriptions with disk types beside a container
// type are read; which of them kauri can build is a limit of the type itself.

import { containerConfig } from './container-config.ts'
import { diskChildren } from './disk.ts'
import {
  type AttributeRule,
  type ElementRule,
  type Limit,
  may,
  must,
  onlySupports,
  optional,
} from './rule.ts'
import {
  anyText,
  flag,
  form,
  imageType,
  integer,
  isTrue,
  oneOf,
  someText,
  wholeNumber,
} from './values.ts'

/** Image types that kauri builds. */
export const buildableTypes = ['docker', 'oci', 'tbz'] as const

const containers = ['docker', 'oci']
const fileSystem = oneOf(
  'a file system',
  'btrfs',
  'ext2',
  'ext3',
  'ext4',
  'squashfs',
  'erofs',
  'xfs',
)

/** A limit of flags that are switched on. */
function unlessFalse(message: string): Limit {
  return value => (isTrue(value) ? message : undefined)
}

/** What concerns container images and root tarballs. */
const containerAttributes: Readonly<Record<string, AttributeRule>> = {
  image: must(imageType, { limit: onlySupports('the image type', ...buildableTypes) }),
  primary: may(flag),
  derived_from: may(someText, {
    imageTypes: [...containers, 'oem'],
    limit: () => 'images that stand on another image (derived_from) are not supported',
  }),
  delta_root: may(flag, {
    imageTypes: containers,
    limit: unlessFalse('delta_root="true" is not supported'),
  }),
  provide_system_files: may(flag, {
    limit: unlessFalse('provide_system_files="true" is not supported'),
  }),
  require_system_files: may(flag, {
    limit: unlessFalse('require_system_files="true" is not supported'),
  }),
  ensure_empty_tmpdirs: may(flag, {
    imageTypes: [...containers, 'appx', 'oem'],
    limit: value =>
      isTrue(value) ? undefined : 'images with files in /run and /tmp are not supported',
  }),
  bundle_format: may(someText),
  selinux_policy: may(someText, {
    limit: () => 'labelling files for SELinux (selinux_policy) is not supported',
  }),
}

/** What only disks, file systems and boot media have. */
const otherAttributes: Readonly<Record<string, AttributeRule>> = {
  application_id: may(form(/^0x[0-9a-fA-F]+$|^0xffffffff$/, 'a number such as 0xffffffff')),
  archive: may(someText),
  boot: may(someText),
  boot_clone: may(wholeNumber),
  bootfilesystem: may(
    oneOf('a boot file system', 'btrfs', 'ext2', 'ext3', 'ext4', 'xfs', 'fat16', 'fat32'),
  ),
  bootkernel: may(someText),
  bootpartition: may(flag),
  bootpart_id: may(wholeNumber),
  bootpartsize: may(wholeNumber),
  bootprofile: may(someText),
  btrfs_quota_groups: may(flag),
  btrfs_root_is_readonly_snapshot: may(flag),
  btrfs_root_is_snapper_snapshot: may(flag),
  btrfs_root_is_subvolume: may(flag),
  btrfs_set_default_volume: may(flag),
  compressed: may(flag, { imageTypes: ['pxe', 'kis'] }),
  devicepersistency: may(
    oneOf('a device persistency', 'by-uuid', 'by-label', 'by-path', 'by-partuuid'),
  ),
  disk_start_sector: may(wholeNumber),
  dosparttable_extended_layout: may(flag),
  editbootconfig: may(someText),
  editbootinstall: may(someText),
  eficsm: may(flag),
  efifatimagesize: may(wholeNumber),
  efiparttable: may(oneOf('a partition table', 'msdos', 'gpt')),
  efipart_id: may(wholeNumber),
  efipartsize: may(wholeNumber),
  eficsmpart_id: may(wholeNumber),
  embed_integrity_metadata: may(flag),
  embed_verity_metadata: may(flag),
  enclave_format: may(someText, { imageTypes: ['enclave'] }),
  erofscompression: may(someText),
  filesystem: may(fileSystem, { requiredFor: ['oem'] }),
  firmware: may(oneOf('a firmware', 'bios', 'ec2', 'efi', 'uefi', 'ofw', 'opal', 'custom')),
  flags: may(oneOf('a live system flag', 'overlay', 'dmsquash', 'clic'), {
    imageTypes: ['iso', 'oem'],
  }),
  force_mbr: may(flag),
  format: may(someText),
  formatoptions: may(someText),
  fscreateoptions: may(anyText),
  fsmountoptions: may(anyText),
  gcelicense: may(someText),
  gpt_hybrid_mbr: may(flag),
  hybridpersistent: may(flag, { imageTypes: ['iso', 'pxe', 'oem'] }),
  hybridpersistent_filesystem: may(oneOf('a file system', 'ext4', 'xfs'), {
    imageTypes: ['iso', 'pxe', 'oem'],
  }),
  initrd_system: may(oneOf('an initrd system', 'kiwi', 'dracut', 'none')),
  install_continue_on_timeout: may(flag),
  installboot: may(oneOf('an install boot mode', 'failsafe-install', 'harddisk', 'install')),
  installiso: may(flag),
  installprovidefailsafe: may(flag),
  installpxe: may(flag),
  installstick: may(flag),
  integrity_keyfile: may(someText),
  integrity_legacy_hmac: may(flag),
  integrity_metadata_key_description: may(someText),
  kernelcmdline: may(anyText),
  luks: may(anyText),
  luksOS: may(someText),
  luks_pbkdf: may(someText),
  luks_randomize: may(flag),
  luks_version: may(oneOf('a LUKS version', 'luks', 'luks1', 'luks2')),
  mdraid: may(oneOf('a RAID level', 'mirroring', 'striping')),
  mediacheck: may(flag, { imageTypes: ['iso', 'oem'] }),
  metadata_path: may(someText, { imageTypes: ['appx'] }),
  overlayroot: may(flag),
  overlayroot_readonly_filesystem: may(oneOf('a file system', 'squashfs', 'erofs')),
  overlayroot_readonly_partsize: may(wholeNumber),
  overlayroot_verity_blocks: may(someText),
  overlayroot_write_partition: may(flag),
  publisher: may(someText, { imageTypes: ['iso', 'oem'] }),
  ramonly: may(flag),
  root_clone: may(wholeNumber),
  rootpart_id: may(wholeNumber),
  rootfs_label: may(someText),
  spare_part: may(form(/^[0-9]+[MG]?$/, 'a size such as 500M')),
  spare_part_fs: may(fileSystem),
  spare_part_fs_attributes: may(someText),
  spare_part_is_last: may(flag),
  spare_part_mountpoint: may(someText),
  squashfscompression: may(
    oneOf('a squashfs compression', 'uncompressed', 'gzip', 'lzo', 'lz4', 'xz', 'zstd'),
  ),
  standalone_integrity: may(flag),
  target_blocksize: may(wholeNumber),
  target_removable: may(flag),
  use_disk_password: may(flag),
  vbootsize: may(wholeNumber),
  verity_blocks: may(someText),
  vhdfixedtag: may(someText),
  volid: may(someText),
  wwid_wait_timeout: may(integer),
  xen_server: may(flag),
}

export const imageTypeElement: ElementRule = {
  attributes: { ...containerAttributes, ...otherAttributes },
  children: {
    containerconfig: optional(containerConfig, { imageTypes: [...containers, 'appx', 'oem'] }),
    ...diskChildren,
  },
}
