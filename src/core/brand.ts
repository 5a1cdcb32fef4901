/** A string or number that only its constructor function makes. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name }
