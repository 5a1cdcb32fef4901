# Helper functions for the scripts of a description, at /.kconfig while they run:  . /.kconfig
#
# The names and what they do are those that KIWI documents; the code is kauri's own and runs in any POSIX shell.
# KCONFIG_ROOT, empty in a build, puts a directory before every path.

_k_warn() {
    echo "kconfig: $*" >&2
}

# Prints its arguments.
Echo() {
    echo "$@"
}

# Prints its arguments where DEBUG=1.
Debug() {
    if [ "${DEBUG:-0}" = 1 ]; then
        echo "+++++> $*" >&2
    fi
}

# Deletes files and says so.
Rm() {
    Debug "rm $*"
    rm -rf -- "$@"
}

# ---- services ----

# Prints the file of a systemd unit; fails where there is none. A name without suffix is a service, then a mount.
baseSystemdServiceInstalled() {
    for _k_directory in etc/systemd/system usr/local/lib/systemd/system usr/lib/systemd/system lib/systemd/system; do
        for _k_unit in "$1" "$1.service" "$1.mount" "$1.socket" "$1.timer"; do
            case $_k_unit in *.*) ;; *) continue ;; esac
            if [ -e "${KCONFIG_ROOT-}/$_k_directory/$_k_unit" ]; then
                echo "/$_k_directory/$_k_unit"
                return 0
            fi
        done
    done
    return 1
}

# Prints the name of a System V service; fails where there is none.
baseSysVServiceInstalled() {
    if [ -x "${KCONFIG_ROOT-}/etc/init.d/$1" ]; then
        echo "$1"
        return 0
    fi
    return 1
}

# baseSystemdCall UNIT VERB [ARGUMENT...]: systemctl VERB ARGUMENT... UNIT, where the unit is installed.
baseSystemdCall() {
    _k_unit=$1
    shift
    if ! baseSystemdServiceInstalled "$_k_unit" >/dev/null; then
        Debug "no unit $_k_unit"
        return 0
    fi
    systemctl --root="${KCONFIG_ROOT:-/}" "$@" "$_k_unit"
}

# baseService NAME on|off
baseService() {
    case ${2-} in
        on) _k_verb=enable ;;
        off) _k_verb=disable ;;
        *)
            _k_warn "baseService: write baseService NAME on|off"
            return 1
            ;;
    esac
    if baseSystemdServiceInstalled "$1" >/dev/null; then
        systemctl --root="${KCONFIG_ROOT:-/}" "$_k_verb" "$1"
    elif baseSysVServiceInstalled "$1" >/dev/null; then
        _k_sysv "$1" "$_k_verb"
    else
        _k_warn "service $1 is not installed"
        return 1
    fi
}

_k_sysv() {
    if command -v update-rc.d >/dev/null 2>&1; then
        update-rc.d "$1" "$2"
    elif command -v insserv >/dev/null 2>&1; then
        if [ "$2" = enable ]; then insserv "$1"; else insserv -r "$1"; fi
    else
        _k_warn "cannot $2 $1: neither update-rc.d nor insserv is there"
        return 1
    fi
}

baseInsertService() { baseService "$1" on; }
baseRemoveService() { baseService "$1" off; }
suseInsertService() { baseService "$1" on; }
suseRemoveService() { baseService "$1" off; }
suseService() { baseService "$@"; }

# baseSetRunlevel 1|2|3|4|5|TARGET: what systemd starts by default.
baseSetRunlevel() {
    case ${1-} in
        1 | s | S | rescue | rescue.target) _k_target=rescue.target ;;
        2 | 3 | 4 | multi-user | multi-user.target) _k_target=multi-user.target ;;
        5 | graphical | graphical.target) _k_target=graphical.target ;;
        *.target) _k_target=$1 ;;
        *)
            _k_warn "baseSetRunlevel: ${1-} is neither 1 to 5 nor a target"
            return 1
            ;;
    esac
    mkdir -p "${KCONFIG_ROOT-}/etc/systemd/system"
    ln -sfn "/usr/lib/systemd/system/$_k_target" "${KCONFIG_ROOT-}/etc/systemd/system/default.target"
}

# ---- configuration files ----

# baseUpdateSysConfig FILE VARIABLE VALUE: sets the variable, in its place or at the end.
baseUpdateSysConfig() {
    if [ ! -f "${KCONFIG_ROOT-}$1" ]; then
        _k_warn "baseUpdateSysConfig: there is no file $1"
        return 1
    fi
    _k_text=$(_k_name=$2 _k_value=$3 awk '
        BEGIN {
            value = ENVIRON["_k_value"]
            gsub(/["\\$`]/, "\\\\&", value)
            line = ENVIRON["_k_name"] "=\"" value "\""
        }
        index($0, ENVIRON["_k_name"] "=") == 1 { if (!done) print line; done = 1; next }
        { print }
        END { if (!done) print line }
    ' "${KCONFIG_ROOT-}$1") || return 1
    # Written into the file itself, so that its owner and mode stay.
    printf '%s\n' "$_k_text" >"${KCONFIG_ROOT-}$1"
}

# baseQuoteFile FILE: quotes the values of NAME=VALUE lines so that a shell can read the file safely.
baseQuoteFile() {
    _k_text=$(awk '
        /^[A-Za-z_][A-Za-z0-9_]*=/ {
            at = index($0, "=")
            value = substr($0, at + 1)
            first = substr(value, 1, 1)
            if (length(value) > 1 && (first == "\"" || first == "\047") && substr(value, length(value)) == first)
                value = substr(value, 2, length(value) - 2)
            gsub(/\047/, "\047\\\047\047", value)
            print substr($0, 1, at) "\047" value "\047"
            next
        }
        { print }
    ' "${KCONFIG_ROOT-}$1") || return 1
    printf '%s\n' "$_k_text" >"${KCONFIG_ROOT-}$1"
}

# Writes the day of the build to /build_day; SOURCE_DATE_EPOCH is that day where it is set.
baseSetupBuildDay() {
    if [ -n "${SOURCE_DATE_EPOCH-}" ]; then
        _k_day=$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d)
    else
        _k_day=$(LC_ALL=C date -u +%Y%m%d)
    fi
    echo "build_day=$_k_day" >"${KCONFIG_ROOT-}/build_day"
}

# Points /etc/products.d/baseproduct to the installed product.
suseSetupProduct() {
    _k_directory=${KCONFIG_ROOT-}/etc/products.d
    [ -d "$_k_directory" ] || return 0
    for _k_file in "$_k_directory"/openSUSE*.prod "$_k_directory"/SLE*.prod "$_k_directory"/*.prod; do
        if [ -f "$_k_file" ]; then
            ln -sfn "${_k_file##*/}" "$_k_directory/baseproduct"
            return 0
        fi
    done
    _k_warn "no product file in /etc/products.d"
}

# Imports the keys that the distribution ships into rpm's database.
suseImportBuildKey() {
    for _k_file in "${KCONFIG_ROOT-}"/usr/lib/rpm/gnupg/keys/*.asc "${KCONFIG_ROOT-}"/usr/lib/rpm/gnupg/keys/*.key; do
        if [ -f "$_k_file" ]; then
            rpm --import "$_k_file" || return 1
        fi
    done
}

# Masks what has nothing to do in a container, as far as it is installed.
setupContainerRuntime() {
    for _k_unit in device-mapper.service kbd.service swap.service udev.service systemd-udevd.service; do
        if baseSystemdServiceInstalled "$_k_unit" >/dev/null; then
            mkdir -p "${KCONFIG_ROOT-}/etc/systemd/system"
            ln -sfn /dev/null "${KCONFIG_ROOT-}/etc/systemd/system/$_k_unit"
        fi
    done
}

# ---- removing what is not needed ----

# baseStripAndKeep KEEP...: removes the files named on standard input but those whose name is KEEP.
baseStripAndKeep() {
    while IFS= read -r _k_file; do
        _k_keep=no
        for _k_name; do
            if [ "${_k_file##*/}" = "$_k_name" ]; then _k_keep=yes; fi
        done
        if [ "$_k_keep" = no ]; then Rm "$_k_file"; fi
    done
}

# True where a locale such as de_DE.utf8 is one of the names after it; codeset and modifier do not count.
_k_is_locale() {
    _k_base=${1%%[.@]*}
    shift
    for _k_name; do
        if [ "$_k_base" = "${_k_name%%[.@]*}" ]; then return 0; fi
    done
    return 1
}

# baseStripLocales LOCALE...: removes all compiled locales but these, C and POSIX.
baseStripLocales() {
    for _k_path in "${KCONFIG_ROOT-}"/usr/lib/locale/*; do
        if [ -d "$_k_path" ] && ! _k_is_locale "${_k_path##*/}" C POSIX "$@"; then Rm "$_k_path"; fi
    done
    if [ -f "${KCONFIG_ROOT-}/usr/lib/locale/locale-archive" ] && command -v localedef >/dev/null 2>&1; then
        localedef --prefix="${KCONFIG_ROOT:-/}" --list-archive | while IFS= read -r _k_locale; do
            if ! _k_is_locale "$_k_locale" C POSIX "$@"; then
                localedef --prefix="${KCONFIG_ROOT:-/}" --delete-from-archive "$_k_locale"
            fi
        done
    fi
}

# baseStripTranslations LANGUAGE...: removes all message catalogues but these.
baseStripTranslations() {
    for _k_path in "${KCONFIG_ROOT-}"/usr/share/locale/*; do
        [ -d "$_k_path" ] || continue
        _k_keep=no
        for _k_name; do
            if [ "${_k_path##*/}" = "$_k_name" ]; then _k_keep=yes; fi
        done
        if [ "$_k_keep" = no ]; then Rm "$_k_path"; fi
    done
}

# baseStripTools DIRECTORY "TOOL...": removes all programs of a directory but these.
baseStripTools() {
    _k_tools=" ${2-} "
    for _k_path in "${KCONFIG_ROOT-}$1"/*; do
        [ -e "$_k_path" ] || [ -L "$_k_path" ] || continue
        case $_k_tools in
            *" ${_k_path##*/} "*) ;;
            *) Rm "$_k_path" ;;
        esac
    done
}

# baseStripUnusedLibs [NAME...]: removes shared libraries that no program links to, but those whose name begins with a NAME.
# Libraries that programs load by name at run time are not seen; name them.
baseStripUnusedLibs() {
    _k_used=$(
        for _k_path in "${KCONFIG_ROOT-}"/bin/* "${KCONFIG_ROOT-}"/sbin/* "${KCONFIG_ROOT-}"/usr/bin/* "${KCONFIG_ROOT-}"/usr/sbin/*; do
            if [ -f "$_k_path" ]; then ldd "$_k_path" 2>/dev/null; fi
        done | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /\.so/) { sub(/.*\//, "", $i); print $i } }' | sort -u
    )
    for _k_path in "${KCONFIG_ROOT-}"/lib/lib*.so* "${KCONFIG_ROOT-}"/lib64/lib*.so* \
        "${KCONFIG_ROOT-}"/usr/lib/lib*.so* "${KCONFIG_ROOT-}"/usr/lib64/lib*.so*; do
        [ -e "$_k_path" ] || [ -L "$_k_path" ] || continue
        _k_is_used_library "${_k_path##*/}" "$_k_path" "$@" || Rm "$_k_path"
    done
}

# A library is kept under its own name, and as what a link that is kept points to.
_k_is_used_library() {
    _k_library=$1
    _k_real=$2
    shift 2
    for _k_name in libnss_ "$@"; do
        case $_k_library in "$_k_name"*) return 0 ;; esac
    done
    for _k_soname in $_k_used; do
        if [ "$_k_library" = "$_k_soname" ]; then return 0; fi
        if [ "$(readlink -f "${_k_real%/*}/$_k_soname")" = "$(readlink -f "$_k_real")" ]; then return 0; fi
    done
    return 1
}

# Removes what <strip type="delete"> names, tools that <strip type="tools"> does not name, and unused libraries but
# those that <strip type="libs"> names.
baseStripInitrd() {
    for _k_file in ${kiwi_strip_delete-}; do
        Rm "${KCONFIG_ROOT-}$_k_file"
    done
    if [ -n "${kiwi_strip_tools-}" ]; then
        for _k_directory in /sbin /usr/sbin /bin /usr/bin; do
            baseStripTools "$_k_directory" "$kiwi_strip_tools"
        done
    fi
    # shellcheck disable=SC2086 # the list is words
    baseStripUnusedLibs ${kiwi_strip_libs-}
}
suseStripInitrd() { baseStripInitrd; }

# ---- kernel modules ----

_k_modules() {
    find "$1" -type f \( -name '*.ko' -o -name '*.ko.gz' -o -name '*.ko.xz' -o -name '*.ko.zst' \) 2>/dev/null
}

# baseKernelDriverMatches FILE: true where the module is one that <drivers> names, by its path below kernel/ or its name.
baseKernelDriverMatches() {
    _k_path=${1##*/kernel/}
    _k_module=${1##*/}
    _k_module=${_k_module%%.ko*}
    _k_rest=${kiwi_drivers-},
    while [ -n "$_k_rest" ]; do
        _k_pattern=${_k_rest%%,*}
        _k_rest=${_k_rest#*,}
        [ -n "$_k_pattern" ] || continue
        # shellcheck disable=SC2254 # the list holds patterns
        case $_k_path in $_k_pattern | $_k_pattern.ko* | */$_k_pattern | */$_k_pattern.ko*) return 0 ;; esac
        if [ "$_k_module" = "${_k_pattern%%.ko*}" ]; then return 0; fi
    done
    return 1
}

# Copies the modules to /kernel-tree, where they are reduced before baseSyncKernelTree puts them back.
baseCreateKernelTree() {
    mkdir -p "${KCONFIG_ROOT-}/kernel-tree"
    cp -a "${KCONFIG_ROOT-}/lib/modules/." "${KCONFIG_ROOT-}/kernel-tree/"
}

# Removes the modules of /kernel-tree that <drivers> does not name.
baseStripKernelModules() {
    _k_modules "${KCONFIG_ROOT-}/kernel-tree" | while IFS= read -r _k_file; do
        baseKernelDriverMatches "$_k_file" || Rm "$_k_file"
    done
}

# Puts back into /kernel-tree what its modules depend on.
baseFixupKernelModuleDependencies() {
    _k_found=yes
    while [ "$_k_found" = yes ]; do
        _k_found=no
        for _k_name in $(_k_modules "${KCONFIG_ROOT-}/kernel-tree" | xargs -r modinfo -F depends | tr ',' '\n' | sort -u); do
            if [ -n "$(_k_modules "${KCONFIG_ROOT-}/kernel-tree" | grep "/$_k_name\.ko" || :)" ]; then continue; fi
            for _k_file in $(_k_modules "${KCONFIG_ROOT-}/lib/modules" | grep "/$_k_name\.ko" || :); do
                _k_target=${KCONFIG_ROOT-}/kernel-tree/${_k_file#"${KCONFIG_ROOT-}/lib/modules/"}
                mkdir -p "${_k_target%/*}"
                cp -a "$_k_file" "$_k_target"
                _k_found=yes
            done
        done
    done
}

# Replaces the modules by what is left in /kernel-tree.
baseSyncKernelTree() {
    Rm "${KCONFIG_ROOT-}/lib/modules"
    mv "${KCONFIG_ROOT-}/kernel-tree" "${KCONFIG_ROOT-}/lib/modules"
}

# Runs depmod for every kernel.
baseUpdateModuleDependencies() {
    for _k_directory in "${KCONFIG_ROOT-}"/lib/modules/*; do
        if [ -d "$_k_directory" ]; then depmod -b "${KCONFIG_ROOT:-/}" "${_k_directory##*/}"; fi
    done
}

# Removes modules of the kernel itself where an update of them is installed.
baseStripModules() {
    _k_modules "${KCONFIG_ROOT-}/lib/modules" | grep -E '/(updates|extra)/' | while IFS= read -r _k_file; do
        _k_module=${_k_file##*/}
        _k_kernel=${_k_file%%/updates/*}
        _k_kernel=${_k_kernel%%/extra/*}
        _k_modules "$_k_kernel/kernel" | grep "/${_k_module%%.ko*}\.ko" | while IFS= read -r _k_old; do
            Rm "$_k_old"
        done
    done
}

# Removes firmware that no module asks for.
baseStripFirmware() {
    _k_wanted=" $(_k_modules "${KCONFIG_ROOT-}/lib/modules" | xargs -r modinfo -F firmware | tr '\n' ' ') "
    find "${KCONFIG_ROOT-}/lib/firmware" \( -type f -o -type l \) 2>/dev/null | while IFS= read -r _k_file; do
        _k_name=${_k_file#"${KCONFIG_ROOT-}/lib/firmware/"}
        case $_k_wanted in
            *" $_k_name "* | *" ${_k_name%.xz} "* | *" ${_k_name%.zst} "*) ;;
            *) Rm "$_k_file" ;;
        esac
    done
}

# Reduces the kernel's modules to those that <drivers> names and what they need.
baseStripKernel() {
    baseCreateKernelTree
    baseStripKernelModules
    baseFixupKernelModuleDependencies
    baseSyncKernelTree
    baseStripModules
    baseUpdateModuleDependencies
}
suseStripKernel() { baseStripKernel; }

# ---- what is there already, and what is no more ----

# /proc, /sys and /dev are there while a script runs, and no script may mount.
mountCgroups() { :; }
umountCgroups() { :; }

baseVagrantSetup() {
    _k_warn "baseVagrantSetup: kauri builds no Vagrant boxes"
    return 1
}

_k_retired() {
    _k_warn "$1 was retired from KIWI and does nothing${2:+; $2}"
}

baseCleanMount() { _k_retired baseCleanMount; }
baseMount() { _k_retired baseMount 'proc, sys and dev are mounted while a script runs'; }
baseCleanup() { _k_retired baseCleanup; }
baseGetPackagesForDeletion() { _k_retired baseGetPackagesForDeletion 'read $kiwi_delete'; }
baseGetProfilesUsed() { _k_retired baseGetProfilesUsed 'read $kiwi_profiles'; }
baseSetupUserPermissions() { _k_retired baseSetupUserPermissions 'home directories belong to their users already'; }
baseStripDocs() { _k_retired baseStripDocs 'use <rpm-excludedocs>'; }
baseStripInfos() { _k_retired baseStripInfos 'use <rpm-excludedocs>'; }
baseStripMans() { _k_retired baseStripMans 'use <rpm-excludedocs>'; }
Rpm() { _k_retired Rpm 'call rpm'; }
debianStripInitrd() { _k_retired debianStripInitrd 'call baseStripInitrd'; }
debianStripKernel() { _k_retired debianStripKernel 'call baseStripKernel'; }
rhelSplashToGrub() { _k_retired rhelSplashToGrub; }
rhelStripInitrd() { _k_retired rhelStripInitrd 'call baseStripInitrd'; }
rhelStripKernel() { _k_retired rhelStripKernel 'call baseStripKernel'; }
suseActivateDefaultServices() { _k_retired suseActivateDefaultServices 'call baseInsertService'; }
suseCleanup() { _k_retired suseCleanup; }
suseConfig() { _k_retired suseConfig 'use <keytable>, <locale> and <timezone>'; }
suseRemoveYaST() { _k_retired suseRemoveYaST 'use <packages type="delete">'; }
suseSetupProductInformation() { _k_retired suseSetupProductInformation 'call suseSetupProduct'; }
