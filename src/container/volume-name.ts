// Names of volumes; docker's form.

const nameForm = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/

/** True for what can be the name of a volume. */
export function isVolumeName(name: string): boolean {
  return nameForm.test(name)
}
