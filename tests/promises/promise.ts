// A promise of the documentation and the test that keeps it: the file, and the title as it stands there.

export interface Kept {
  readonly file: string;
  readonly title: string;
}

export const kept = (file: string, title: string): Kept => ({ file, title });
