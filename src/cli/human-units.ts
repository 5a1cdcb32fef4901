// Sizes and ages as docker's lists show them.

const sizeUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Bytes in decimal units with three digits: `174MB`, `1.08kB`. */
export function humanSize(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < sizeUnits.length - 1) {
    value /= 1000
    unit++
  }
  return `${Number(value.toPrecision(3))}${sizeUnits[unit]}`
}

/** Bytes in binary units with four digits, as docker shows memory: `1.504GiB`, `64MiB`. */
export function binarySize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  const unit = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1)
  return `${Number((bytes / 1024 ** unit).toPrecision(4))}${units[unit]}`
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** A span of time in words, in the steps that docker uses: `About an hour`, `3 weeks`. */
export function humanDuration(spanMs: number): string {
  if (spanMs < second) return 'Less than a second'
  if (spanMs < 2 * second) return '1 second'
  if (spanMs < minute) return `${Math.floor(spanMs / second)} seconds`
  if (spanMs < 2 * minute) return 'About a minute'
  if (spanMs < hour) return `${Math.floor(spanMs / minute)} minutes`
  if (Math.round(spanMs / hour) === 1) return 'About an hour'
  if (spanMs < 48 * hour) return `${Math.round(spanMs / hour)} hours`
  if (spanMs < 14 * day) return `${Math.floor(spanMs / day)} days`
  if (spanMs < 60 * day) return `${Math.floor(spanMs / day / 7)} weeks`
  if (spanMs < 2 * 365 * day) return `${Math.floor(spanMs / day / 30)} months`
  return `${Math.floor(spanMs / day / 365)} years`
}

/** How long ago a time of RFC 3339 was; `N/A` where there is none. */
export function humanAge(created: string | undefined, nowMs: number): string {
  const createdMs = created === undefined ? Number.NaN : Date.parse(created)
  return Number.isNaN(createdMs) ? 'N/A' : `${humanDuration(nowMs - createdMs)} ago`
}
