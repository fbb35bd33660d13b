# shellcheck shell=bash
# Documentation, web site, manual pages. Part of tools/dev.

## docs [FLAGS]      build the documentation of the libraries; a warning is an error
task_docs() {
    need_swift
    local catalogue library
    for catalogue in "$root"/Sources/*/*.docc; do
        library=$(basename "$catalogue" .docc)
        # A catalogue whose code is not here yet has nothing to document.
        compgen -G "$(dirname "$catalogue")/*.swift" >/dev/null || continue
        swift package --package-path "$root" --disable-sandbox generate-documentation \
            --target "$library" --warnings-as-errors "$@"
    done
}

## site [FOLDER]      make a static web site of the guides and the libraries' documentation
task_site() {
    need_swift
    local folder=${1:-$root/.build-site} library
    rm -rf "$folder"
    mkdir -p "$folder"
    make_guides "$folder"
    for library in TFTPServer TFTPClient; do
        swift package --package-path "$root" --allow-writing-to-directory "$folder" generate-documentation \
            --target "$library" --output-path "$folder/$library" --transform-for-static-hosting \
            --hosting-base-path "$library" >&2
    done
    echo "$folder"
}

# make_guides FOLDER: the pages of docs/guide, which link to each other; what they say of files
# outside becomes plain text.
make_guides() {
    local catalogue page
    catalogue=$(mktemp -d)/Guides.docc
    mkdir "$catalogue"
    {
        printf '# Bootstorm\n\n@Metadata {\n  @TechnologyRoot\n}\n\n'
        printf 'A TFTP server for the moment when every machine boots at once.\n\n## Topics\n\n### Guides\n\n'
        for page in "$root"/docs/guide/*.md; do printf -- '- <doc:%s>\n' "$(basename "$page" .md)"; done
        printf '\n### Libraries\n\n- [TFTPServer](/TFTPServer/documentation/tftpserver)\n'
        printf -- '- [TFTPClient](/TFTPClient/documentation/tftpclient)\n'
    } >"$catalogue/Guides.md"
    for page in "$root"/docs/guide/*.md; do
        sed -E 's/\]\(([a-z]+)\.md(#[^)]*)?\)/](doc:\1)/g; s/\[([^]]*)\]\(\.\.\/[^)]*\)/\1/g' "$page" \
            >"$catalogue/$(basename "$page")"
    done
    docc convert "$catalogue" --output-dir "$1" --transform-for-static-hosting --warnings-as-errors \
        --fallback-display-name Guides --fallback-bundle-identifier bootstorm.guides >&2
    rm -rf "$(dirname "$catalogue")"
}

## manual [FOLDER]   write manual pages of $BOOTSTORM or a release build (default: .build-manual)
task_manual() {
    local folder=${1:-$root/.build-manual} program
    program=$(task_program)
    mkdir -p "$folder"
    # The argument parser's own tool. Its plugin would build the program once more, for debugging.
    swift build --package-path "$root" --product generate-manual >&2
    "$root/.build/debug/generate-manual" "$program" --multi-page --output-directory "$folder" >&2
    echo "$folder"
}
