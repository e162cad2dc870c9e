// Blanks out what is no code: comments, the insides of strings, template text and regular expressions become spaces,
// everything else stays where it was. A rule that looks for a word then cannot trip over prose, and an index into the
// result is an index into the source. It is not a parser; the one guess it makes is what a `/` begins.

/** After one of these (or at the beginning) a slash begins a regular expression; after anything else it divides. */
const BEFORE_EXPRESSION =
  /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield))$/;

const cache = new Map<string, string>();

/** Only code: comments and the insides of strings are blank. */
export function codeOf(source: string): string {
  const known = cache.get(source);
  if (known !== undefined) return known;
  const code = blanked(source, true);
  cache.set(source, code);
  return code;
}

/** Code and strings: only comments are blank. */
export function withoutComments(source: string): string {
  return blanked(source, false);
}

function blanked(source: string, strings: boolean): string {
  /** What is looked at to tell a regular expression from a division. */
  const code = source.split('');
  const result = source.split('');
  /** For each template that is open: how many braces are open in its `${`. */
  const templates: number[] = [];
  let index = 0;

  const blank = (from: number, to: number, inResult: boolean) => {
    for (let i = from; i < to; i += 1) {
      if (code[i] === '\n') continue;
      code[i] = ' ';
      if (inResult) result[i] = ' ';
    }
  };
  /** Where the pattern, which is sticky, ends if it is laid on at `index`. */
  const endOf = (pattern: RegExp) => {
    pattern.lastIndex = index;
    return pattern.test(source) ? pattern.lastIndex : source.length;
  };
  /** From inside a template to its end, or to the code of its next `${`. */
  const skipTemplateText = () => {
    const from = index;
    index = endOf(/(?:[^\\`$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{|$)/y);
    const opensCode = source.startsWith('${', index - 2);
    blank(from, opensCode ? index - 2 : index - 1, strings);
    if (opensCode) templates.push(0);
  };

  while (index < source.length) {
    const char = source[index];
    const from = index;
    if (source.startsWith('//', index)) {
      index = endOf(/[^\n]*/y);
      blank(from, index, true);
    } else if (source.startsWith('/*', index)) {
      index = endOf(/\/\*[\s\S]*?\*\//y);
      blank(from, index, true);
    } else if (char === "'" || char === '"') {
      index = endOf(char === '"' ? /"(?:[^"\\\n]|\\[\s\S])*"?/y : /'(?:[^'\\\n]|\\[\s\S])*'?/y);
      blank(from + 1, index - 1, strings);
    } else if (char === '`') {
      index += 1;
      skipTemplateText();
    } else if (char === '/' && BEFORE_EXPRESSION.test(codeBefore(code, index))) {
      index = endOf(/\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])*\/?\w*/y);
      blank(from + 1, index, strings);
    } else {
      index += 1;
      const depth = templates.length - 1;
      if (depth < 0) continue;
      if (char === '{') templates[depth] = (templates[depth] ?? 0) + 1;
      if (char !== '}') continue;
      if (templates[depth] === 0) {
        templates.pop();
        skipTemplateText();
      } else templates[depth] = (templates[depth] ?? 0) - 1;
    }
  }
  return result.join('');
}

/** The code before an index, as far back as it takes to see what kind of token stands there. */
function codeBefore(code: readonly string[], index: number): string {
  return code
    .slice(Math.max(0, index - 200), index)
    .join('')
    .trimEnd();
}
