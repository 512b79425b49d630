# Sealgate in an image made by Yocto (scarthgap 5.0 and later). It installs a
# program that was built outside, as `make cross` does: static, so that one for
# the processor runs in every image. Not built here. docs/install.md walks through.
SUMMARY = "Nothing leaves the IoT gateway ungraded"
HOMEPAGE = "https://github.com/sealgate/sealgate"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=86d3f3a95c324c9479bd8986968f4327"

SRC_URI = "file://sealgate file://LICENSE file://agent.yaml file://sealgate.service"
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit systemd useradd

USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir /var/lib/sealgate --shell /sbin/nologin sealgate"
SYSTEMD_SERVICE:${PN} = "sealgate.service"
SYSTEMD_AUTO_ENABLE = "disable"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0755 ${S}/sealgate ${D}${bindir}/sealgate
    install -D -m 0644 ${S}/sealgate.service ${D}${systemd_system_unitdir}/sealgate.service
    install -d -m 0750 ${D}${sysconfdir}/sealgate
    install -m 0640 ${S}/agent.yaml ${D}${sysconfdir}/sealgate/agent.yaml
    chown -R root:sealgate ${D}${sysconfdir}/sealgate
}

CONFFILES:${PN} = "${sysconfdir}/sealgate/agent.yaml"
RDEPENDS:${PN} = "ca-certificates"
INSANE_SKIP:${PN} = "already-stripped"
