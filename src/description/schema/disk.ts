// Children of <type> that only disks, live systems and virtual machines have.

import {
  type ChildRule,
  type ElementRule,
  many,
  may,
  must,
  optional,
  some,
  textElement,
} from './rule.ts'
import { anyText, architectures, flag, form, oneOf, someText, wholeNumber } from './values.ts'

const option: ElementRule = { attributes: { name: must(someText), value: may(anyText) } }

const bootloader: ElementRule = {
  attributes: {
    name: must(
      oneOf(
        'a boot loader',
        'grub2',
        'grub2_s390x_emu',
        'systemd_boot',
        'isolinux',
        'zipl',
        'custom',
      ),
    ),
    bls: may(flag),
    grub_template: may(someText),
    input_console: may(someText),
    output_console: may(someText),
    serial_line: may(anyText),
    targettype: may(oneOf('a target type', 'CDL', 'LDL', 'FBA', 'SCSI', 'GPT')),
    timeout: may(wholeNumber),
    timeout_style: may(oneOf('a timeout style', 'countdown', 'hidden')),
    use_disk_password: may(flag),
    video_mode: may(someText),
  },
  children: {
    bootloadersettings: optional({
      children: {
        shimoption: many(option),
        installoption: many(option),
        configoption: many(option),
        environment: optional({
          children: { env: some({ attributes: { name: must(someText), value: may(anyText) } }) },
        }),
      },
    }),
    securelinux: many({
      attributes: {
        hkd_sign_cert: may(someText),
        hkd_ca_cert: may(someText),
      },
      children: {
        hkd_cert: many({ attributes: { name: must(someText) } }),
        hkd_revocation_list: many({ attributes: { name: must(someText) } }),
      },
    }),
  },
}

const machine: ElementRule = {
  attributes: {
    HWversion: may(wholeNumber),
    guestOS: may(someText),
    max_cpu: may(wholeNumber),
    max_memory: may(wholeNumber),
    memory: may(wholeNumber),
    min_cpu: may(wholeNumber),
    min_memory: may(wholeNumber),
    ncpus: may(wholeNumber),
    ovftype: may(oneOf('an OVF type', 'zvm', 'povf', 'powervm', 'vmware', 'xen')),
    xen_loader: may(oneOf('a Xen loader', 'hvmloader', 'pygrub', 'pvgrub')),
  },
  children: {
    'vmconfig-entry': many(textElement(anyText)),
    vmdisk: optional({
      attributes: {
        controller: may(someText),
        device: may(someText),
        diskmode: may(someText),
        disktype: may(someText),
        id: may(wholeNumber),
      },
    }),
    vmdvd: optional({ attributes: { controller: must(someText), id: must(wholeNumber) } }),
    vmnic: many({
      attributes: {
        driver: may(someText),
        interface: must(anyText),
        mac: may(someText),
        mode: may(someText),
      },
    }),
  },
}

const oemFlags = [
  'oem-device-filter',
  'oem-boot-title',
  'oem-nic-filter',
  'oem-ramdisk-size',
  'oem-recoveryID',
  'oem-recovery-part-size',
  'oem-swapname',
  'oem-swapsize',
  'oem-systemsize',
  'oem-unattended-id',
  'oem-vmcp-parmfile',
] as const

const oemSwitches = [
  'oem-bootwait',
  'oem-inplace-recovery',
  'oem-kiwi-initrd',
  'oem-multipath-scan',
  'oem-partition-install',
  'oem-reboot',
  'oem-reboot-interactive',
  'oem-recovery',
  'oem-resize',
  'oem-resize-once',
  'oem-shutdown',
  'oem-shutdown-interactive',
  'oem-silent-boot',
  'oem-silent-install',
  'oem-silent-verify',
  'oem-skip-verify',
  'oem-swap',
  'oem-unattended',
] as const

const oemConfig: ElementRule = {
  children: Object.fromEntries([
    ...oemFlags.map(name => [name, optional(textElement(anyText))] as const),
    ...oemSwitches.map(name => [name, optional(textElement(flag))] as const),
  ]),
}

const initrd: ElementRule = {
  attributes: { action: must(oneOf('an action', 'add', 'omit', 'set', 'setup')) },
  children: {
    dracut: some({
      attributes: { module: may(someText), driver: may(someText), uefi: may(flag) },
    }),
  },
}

const volume: ElementRule = {
  attributes: {
    name: must(someText),
    arch: may(architectures),
    copy_on_write: may(flag),
    filesystem_check: may(flag),
    freespace: may(someText),
    label: may(someText),
    mountpoint: may(someText),
    parent: may(anyText),
    quota: may(someText),
    size: may(someText),
  },
}

const partition: ElementRule = {
  attributes: {
    name: must(someText),
    clone: may(wholeNumber),
    filesystem: may(someText),
    label: may(someText),
    mountpoint: may(someText),
    partition_name: may(someText),
    part_id: may(wholeNumber),
    partition_type: may(someText),
    size: must(form(/^(?:all-free|[0-9]+[MG]?)$/, 'a size such as 500M')),
  },
}

export const diskChildren: Readonly<Record<string, ChildRule>> = {
  bootloader: optional(bootloader),
  machine: optional(machine),
  oemconfig: optional(oemConfig),
  size: optional({
    attributes: {
      unit: may(oneOf('a unit', 'M', 'G')),
      additive: may(flag),
      unpartitioned: may(wholeNumber),
    },
    text: { type: wholeNumber },
  }),
  systemdisk: optional({
    attributes: { name: may(someText), preferlvm: may(flag) },
    children: { volume: many(volume) },
  }),
  partitions: optional({ children: { partition: some(partition) } }),
  vagrantconfig: many({
    attributes: {
      provider: must(someText),
      virtualsize: may(wholeNumber),
      box_name: may(someText),
      virtualbox_guest_additions_present: may(flag),
      embedded_vagrantfile: may(someText),
    },
  }),
  installmedia: optional(
    { children: { initrd: some(initrd) } },
    { needs: ['installiso', 'installpxe'] },
  ),
  initrd: many(initrd),
  luksformat: optional({ children: { option: some(option) } }, { needs: ['luks'] }),
}
